package com.example.shop;

import okhttp3.CertificatePinner;

class OnePin {
    static final CertificatePinner PINNER =
        new CertificatePinner.Builder().add("api.example.com", "sha256/A8TCX7QwhUNNciJ36Kmblh8BT/thLPF32Jqw/YefkyY=").build();
}
