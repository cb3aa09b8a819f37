// Service C, the shop's prices: a Go HTTP server that asks redis and, by Go's HTTP client, service B; it logs each request as services/spans.py does.
// It never answers in more than one write, and never uses anything but the standard library.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	mathrand "math/rand"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const priceMilliseconds = "700"

var (
	truthPath   = flag.String("truth", "", "where to log spans")
	listen      = flag.String("listen", "", "IP:PORT")
	rates       = flag.String("rates", "", "IP:PORT of service B")
	redis       = flag.String("redis", "", "IP:PORT")
	concurrency = flag.Int("concurrency", 1, "how many requests at once the load sends")
	seed        = flag.Int64("seed", 1, "of chance")
)

type object map[string]any

func now() int64 { return time.Now().UnixNano() }

func newID() string {
	var bytes [8]byte
	if _, err := rand.Read(bytes[:]); err != nil {
		panic(err)
	}
	return hex.EncodeToString(bytes[:])
}

// A kept-alive connection to redis; one command at a time.
type connection struct {
	net.Conn
	reader *bufio.Reader
}

func dial() (*connection, error) {
	conn, err := net.Dial("tcp", *redis)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReader(conn)}, nil
}

// One reply: text, or "" for none.
func (c *connection) reply() (string, error) {
	line, err := c.reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	switch line[0] {
	case '+', ':':
		return line[1:], nil
	case '$':
		length, err := strconv.Atoi(line[1:])
		if err != nil || length < 0 {
			return "", err
		}
		text := make([]byte, length+2)
		if _, err := readFull(c.reader, text); err != nil {
			return "", err
		}
		return string(text[:length]), nil
	}
	return "", fmt.Errorf("redis: %s", line)
}

func readFull(reader *bufio.Reader, into []byte) (int, error) {
	n := 0
	for n < len(into) {
		more, err := reader.Read(into[n:])
		if err != nil {
			return n, err
		}
		n += more
	}
	return n, nil
}

// Runs one command and notes its times.
func (s *span) ask(c *connection, words ...string) (string, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
	}
	started := now()
	if _, err := c.Write([]byte(text.String())); err != nil {
		return "", err
	}
	sent := now()
	answer, err := c.reply()
	s.calls = append(s.calls, object{
		"call_id": newID(), "order": len(s.calls), "protocol": "redis", "operation": words[0], "resource": words[1],
		"local": c.LocalAddr().String(), "remote": c.RemoteAddr().String(),
		"t_start_ns": started, "t_sent_ns": sent, "t_end_ns": now(), "pipeline": []int{0, 1},
	})
	return answer, err
}

type span struct {
	requestID string
	calls     []object
}

// Asks service B over whichever connection Go's client takes, and notes the times.
func (s *span) askRate(client *http.Client, item string) (int, error) {
	id, path, local, sent := newID(), "/rate/"+item, "", int64(0)
	trace := &httptrace.ClientTrace{
		GotConn:      func(info httptrace.GotConnInfo) { local = info.Conn.LocalAddr().String() },
		WroteRequest: func(httptrace.WroteRequestInfo) { sent = now() },
	}
	request, err := http.NewRequest("GET", "http://"+*rates+path, nil)
	if err != nil {
		return 0, err
	}
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), trace))
	request.Header.Set("X-Request-Id", s.requestID)
	request.Header.Set("X-Testbed-Span", id)
	started := now()
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct{ Rate int }
	err = json.NewDecoder(response.Body).Decode(&answer)
	s.calls = append(s.calls, object{
		"call_id": id, "order": len(s.calls), "protocol": "http1", "operation": "GET", "resource": path,
		"status": response.StatusCode, "local": local, "remote": *rates,
		"t_start_ns": started, "t_sent_ns": sent, "t_end_ns": now(),
	})
	return answer.Rate, err
}

type service struct {
	idle   chan *connection
	client *http.Client
	mutex  sync.Mutex
	chance *mathrand.Rand
	truth  *os.File
}

// A number below n.
func (s *service) draw(n int) int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.chance.Intn(n)
}

// Keeps the processor busy.
func spin(duration time.Duration) {
	for end := time.Now().Add(duration); time.Now().Before(end); {
	}
}

// The price of an item: from redis, or worked out from B's rate and then kept there.
func (s *service) price(made *span, item string) (string, error) {
	connection := <-s.idle
	defer func() { s.idle <- connection }()
	price, err := made.ask(connection, "GET", "price:"+item)
	if err != nil || price != "" {
		return price, err
	}
	rate, err := made.askRate(s.client, item)
	if err != nil {
		return "", err
	}
	spin(time.Duration(s.draw(3000)) * time.Microsecond)
	price = strconv.Itoa((100 + s.draw(20)*5) * rate)
	_, err = made.ask(connection, "SET", "price:"+item, price, "PX", priceMilliseconds)
	return price, err
}

func (s *service) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	read := now()
	made := span{requestID: request.Header.Get("X-Request-Id"), calls: []object{}}
	status, answer := http.StatusOK, object{}
	spin(time.Duration(s.draw(600)) * time.Microsecond)
	price, err := s.price(&made, strings.TrimPrefix(request.URL.Path, "/price/"))
	if err != nil {
		status, answer = http.StatusInternalServerError, object{"error": err.Error()}
	} else {
		answer["price"] = price
	}
	body, _ := json.Marshal(answer)
	writer.Header().Set("Content-Type", "application/json")
	writer.Header().Set("Content-Length", strconv.Itoa(len(body)))
	before := now()
	writer.WriteHeader(status)
	writer.Write(body)
	line, _ := json.Marshal(object{
		"service": "C", "request_id": request.Header.Get("X-Request-Id"), "parent_call_id": request.Header.Get("X-Testbed-Span"),
		"span_id": newID(), "method": request.Method, "path": request.URL.Path, "status": status, "pid": os.Getpid(),
		"local": request.Context().Value(http.LocalAddrContextKey).(net.Addr).String(), "peer": request.RemoteAddr,
		"t_read_after_ns": read, "t_write_before_ns": before, "calls": made.calls,
	})
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.truth.Write(append(line, '\n'))
}

func main() {
	flag.Parse()
	truth, err := os.OpenFile(*truthPath, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	// Half as many connections as workers: some wait.
	size := (*concurrency + 1) / 2
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *concurrency}}
	served := &service{client: client, idle: make(chan *connection, size), chance: mathrand.New(mathrand.NewSource(*seed)), truth: truth}
	for i := 0; i < size; i++ {
		connection, err := dial()
		if err != nil {
			log.Fatal(err)
		}
		served.idle <- connection
	}
	log.Fatal(http.ListenAndServe(*listen, served))
}
