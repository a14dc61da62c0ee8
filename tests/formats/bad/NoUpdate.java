package com.example.shop;

class NoUpdate {
    static TlsSocketStrategy strategy(SSLContext context) {
        return SpkiPinningClientTlsStrategy.newBuilder(context)
            .add("api.example.com", "sha256/A8TCX7QwhUNNciJ36Kmblh8BT/thLPF32Jqw/YefkyY=", "sha256/lKzmQvCfFYgus66oO8jkt+EJWNkzjYcweN43ltWlFYc=")
            .build();
    }
}
