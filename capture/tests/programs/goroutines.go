// Goroutines that ask an echo server and name themselves in what they send: the truth of what the recorder sees.
// It never talks to anybody but itself.
package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// The number of the calling goroutine, from the first line of its stack: `goroutine 18 [running]:`.
func number() string {
	stack := make([]byte, 64)
	return string(bytes.Fields(stack[:runtime.Stack(stack, false)])[1])
}

func echo(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			text := make([]byte, 100)
			for {
				n, err := connection.Read(text)
				if err != nil {
					return
				}
				connection.Write(text[:n])
			}
		}()
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go echo(listener)
	// That this is a Go program is found within some hundredths of a second.
	time.Sleep(300 * time.Millisecond)
	var done sync.WaitGroup
	for i := 0; i < 10; i++ {
		done.Add(1)
		go func(maker string) {
			defer done.Done()
			connection, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				return
			}
			answer := make([]byte, 100)
			for j := 0; j < 30; j++ {
				fmt.Fprintf(connection, "ask %s %s", number(), maker)
				connection.Read(answer)
			}
		}(number())
	}
	done.Wait()
}
