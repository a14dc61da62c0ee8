// Go's net/http, pinned in VerifyConnection, without Holdfast: `go_https URL`, for
// `holdfast lab run`. Build it first: `go build go_https.go`.
//
// Bound to the keys in HOLDFAST_LAB_PIN and HOLDFAST_LAB_BACKUP, for each host it is sent to.
// VerifyConnection is called for resumed sessions too; VerifyPeerCertificate is not.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func fail(reason any) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(1)
}

func main() {
	pins := []string{os.Getenv("HOLDFAST_LAB_PIN"), os.Getenv("HOLDFAST_LAB_BACKUP")}
	pem, err := os.ReadFile(os.Getenv("HOLDFAST_LAB_ANCHORS"))
	if err != nil {
		fail(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			Proxy:             http.ProxyFromEnvironment,
			ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{
				RootCAs: roots,
				VerifyConnection: func(state tls.ConnectionState) error {
					digest := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
					seen := "sha256/" + base64.StdEncoding.EncodeToString(digest[:])
					for _, pin := range pins {
						if pin == seen {
							return nil
						}
					}
					return fmt.Errorf("the key of %s is not pinned: %s", state.ServerName, seen)
				},
			},
		},
	}
	response, err := client.Get(os.Args[1])
	if err != nil {
		fail(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		fail(response.Status)
	}
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		fail(err)
	}
}
