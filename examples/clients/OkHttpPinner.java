// OkHttp's CertificatePinner, without Holdfast: `OkHttpPinner URL`, for `holdfast lab run`.
// Compile it first: `javac -cp okhttp.jar:okio.jar OkHttpPinner.java`.
//
// The keys in HOLDFAST_LAB_PIN and HOLDFAST_LAB_BACKUP are those of HOLDFAST_LAB_HOST; on another
// host that it is sent to OkHttp looks for none.

import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import okhttp3.CertificatePinner;
import okhttp3.OkHttpClient;
import okhttp3.Request;

final class OkHttpPinner {
    public static void main(String[] args) throws Exception {
        var trust = trust(Path.of(System.getenv("HOLDFAST_LAB_ANCHORS")));
        var context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {trust}, null);
        var pinner = new CertificatePinner.Builder()
                .add(
                        System.getenv("HOLDFAST_LAB_HOST"),
                        System.getenv("HOLDFAST_LAB_PIN"),
                        System.getenv("HOLDFAST_LAB_BACKUP"))
                .build();
        var client = new OkHttpClient.Builder()
                .sslSocketFactory(context.getSocketFactory(), trust)
                .certificatePinner(pinner)
                .callTimeout(5, TimeUnit.SECONDS)
                .build();
        var request = new Request.Builder().url(args[0]).build();
        try (var response = client.newCall(request).execute()) {
            System.out.print(response.body().string());
            System.exit(response.code() == 200 ? 0 : 1);
        } catch (java.io.IOException error) {
            System.err.println(error);
            System.exit(1);
        }
    }

    private static X509TrustManager trust(Path anchors) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        try (var pem = Files.newInputStream(anchors)) {
            int number = 0;
            for (Certificate anchor : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
                store.setCertificateEntry("anchor-" + number++, anchor);
            }
        }
        var factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return (X509TrustManager) factory.getTrustManagers()[0];
    }
}
