// A server of HTTP over TLS and its client, both by Go's standard library. The argument is the folder of a certificate and its key.
// It talks to itself on loopback only. The client waits until probes of a program that just began are surely attached.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	pair, err := tls.LoadX509KeyPair(os.Args[1]+"/cert", os.Args[1]+"/key")
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	well := func(writer http.ResponseWriter, request *http.Request) {
		io.Copy(io.Discard, request.Body)
		fmt.Fprint(writer, "well")
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	go (&http.Server{Handler: http.HandlerFunc(well), TLSConfig: config}).ServeTLS(listener, "", "")
	time.Sleep(2500 * time.Millisecond)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for i, size := range []int{0, 100, 5000, 100000} {
		url := fmt.Sprintf("https://%s/go-%d", listener.Addr(), i)
		request, _ := http.NewRequest("POST", url, strings.NewReader(strings.Repeat("b", size)))
		request.Header.Set("Authorization", "Bearer "+os.Args[2])
		response, err := client.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}
