"""What is in shipped packages: pins are found and held against the policy; nothing is unpacked."""
