// Java's java.net.http, pinned in a trust manager, without Holdfast: `JavaHttps URL`, for
// `holdfast lab run`. Compile it first: `javac JavaHttps.java`.
//
// Bound to the keys in HOLDFAST_LAB_PIN and HOLDFAST_LAB_BACKUP, for each host it is sent to.
// The platform's own trust manager verifies path and name; the pin comes on top of it. Java does
// not ask a trust manager when a session is resumed.

import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.Base64;
import java.util.Set;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509ExtendedTrustManager;

final class JavaHttps {
    public static void main(String[] args) throws Exception {
        var pins = Set.of(System.getenv("HOLDFAST_LAB_PIN"), System.getenv("HOLDFAST_LAB_BACKUP"));
        var context = SSLContext.getInstance("TLS");
        var trust = platformTrust(Path.of(System.getenv("HOLDFAST_LAB_ANCHORS")));
        context.init(null, new TrustManager[] {new Pinned(trust, pins)}, null);
        var client = HttpClient.newBuilder()
                .sslContext(context)
                .followRedirects(HttpClient.Redirect.NORMAL) // never from https to http
                .connectTimeout(Duration.ofSeconds(5))
                .build();
        var request = HttpRequest.newBuilder(URI.create(args[0])).timeout(Duration.ofSeconds(5));
        try {
            var response = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
            System.out.print(response.body());
            System.exit(response.statusCode() == 200 ? 0 : 1);
        } catch (java.io.IOException error) {
            System.err.println(error);
            System.exit(1);
        }
    }

    static X509ExtendedTrustManager platformTrust(Path anchors) throws Exception {
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
        return (X509ExtendedTrustManager) factory.getTrustManagers()[0];
    }

    /** Verifies as the platform does, and then looks for the leaf's key among the pins. */
    private static final class Pinned extends X509ExtendedTrustManager {
        private final X509ExtendedTrustManager platform;
        private final Set<String> pins;

        Pinned(X509ExtendedTrustManager platform, Set<String> pins) {
            this.platform = platform;
            this.pins = pins;
        }

        private void check(X509Certificate leaf) throws CertificateException {
            try {
                var digest = MessageDigest.getInstance("SHA-256").digest(leaf.getPublicKey().getEncoded());
                var pin = "sha256/" + Base64.getEncoder().encodeToString(digest);
                if (!pins.contains(pin)) {
                    throw new CertificateException("the key is not pinned: " + pin);
                }
            } catch (NoSuchAlgorithmException error) {
                throw new CertificateException(error);
            }
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine)
                throws CertificateException {
            platform.checkServerTrusted(chain, type, engine);
            check(chain[0]);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket)
                throws CertificateException {
            platform.checkServerTrusted(chain, type, socket);
            check(chain[0]);
        }

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
            throw new CertificateException("without a connection the name cannot be checked");
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine)
                throws CertificateException {
            throw new CertificateException("this is a client");
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket)
                throws CertificateException {
            throw new CertificateException("this is a client");
        }

        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
            throw new CertificateException("this is a client");
        }

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return platform.getAcceptedIssuers();
        }
    }
}
