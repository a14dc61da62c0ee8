package com.example.shop

import okhttp3.CertificatePinner

val pinner = CertificatePinner.Builder()
    .add("api.example.com", "sha256/A8TCX7QwhUNNciJ36Kmblh8BT/thLPF32Jqw/YefkyY=", "sha256/A8TCX7QwhUNNciJ36Kmblh8BT/th")
    .build()
