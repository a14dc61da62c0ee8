"""What a check says, why a connection was refused, and the texts in which both are told. Pure."""
