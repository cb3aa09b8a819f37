// A Go front that asks a Go back: once after the other, and twice at the same time from goroutines of its own. Every path ends in the
// number of the client's request: the truth of which call was caused by which. With one argument, a role: back, front or client.
// It talks on loopback only, and ends by itself.
package main

import (
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const lifetime = 60 * time.Second

// A client that keeps connections alive, and has so many at most; 0: as many as it takes.
func client(most int) *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: most}}
}

func get(client *http.Client, url string) {
	response, err := client.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
}

func serve(handler http.HandlerFunc) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	time.AfterFunc(lifetime, func() { os.Exit(3) })
	log.Fatal(http.Serve(listener, handler))
}

func pause(most int) { time.Sleep(time.Duration(rand.Intn(most)) * time.Microsecond) }

func main() {
	switch os.Args[1] {
	case "back":
		serve(func(writer http.ResponseWriter, _ *http.Request) {
			pause(8000)
			fmt.Fprint(writer, "well")
		})
	case "front":
		most, _ := strconv.Atoi(os.Args[3])
		back := client(most)
		url := "http://" + os.Args[2]
		serve(func(writer http.ResponseWriter, request *http.Request) {
			number := strings.TrimPrefix(request.URL.Path, "/front/")
			get(back, url+"/first/"+number)
			var both sync.WaitGroup
			for _, side := range []string{"/left/", "/right/"} {
				both.Add(1)
				go func(side string) {
					defer both.Done()
					get(back, url+side+number)
				}(side)
			}
			both.Wait()
			get(back, url+"/last/"+number)
			fmt.Fprint(writer, "well")
		})
	case "client":
		workers, _ := strconv.Atoi(os.Args[3])
		requests, _ := strconv.Atoi(os.Args[4])
		numbers := make(chan int)
		var all sync.WaitGroup
		front := client(0)
		for i := 0; i < workers; i++ {
			all.Add(1)
			go func() {
				defer all.Done()
				for number := range numbers {
					get(front, fmt.Sprintf("http://%s/front/%d", os.Args[2], number))
				}
			}()
		}
		for i := 0; i < requests; i++ {
			numbers <- i
		}
		close(numbers)
		all.Wait()
	}
}
