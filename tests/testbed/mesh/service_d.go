// Service D, the mesh's quotes: goroutines that ask service E over IPv6, by Go's HTTP client, one after the other or several at once.
// It logs each request as services/spans.py does. It never uses anything but the standard library, nor a timer unless it is told to.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	mathrand "math/rand"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

var (
	truthPath   = flag.String("truth", "", "where to log spans")
	listen      = flag.String("listen", "", "IP:PORT")
	rates       = flag.String("rates", "", "IP:PORT of service E")
	concurrency = flag.Int("concurrency", 1, "how many requests at once the load sends")
	seed        = flag.Int64("seed", 1, "of chance")
	keep        = flag.Bool("keep", true, "keep connections for the next call")
	timer       = flag.Duration("timer", 0, "the mean of a wait before half of the calls; 0: none")
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

type service struct {
	client *http.Client
	mutex  sync.Mutex
	chance *mathrand.Rand
	truth  *os.File
}

// One request as this process sees it.
type span struct {
	id    string
	mutex sync.Mutex
	calls []object
}

// A number from 0 to 1.
func (s *service) draw() float64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.chance.Float64()
}

// What leaves no trace: only where it was asked for, half of the times.
func (s *service) pause() {
	if *timer > 0 && s.draw() < 0.5 {
		s.mutex.Lock()
		wait := s.chance.ExpFloat64()
		s.mutex.Unlock()
		time.Sleep(time.Duration(wait * float64(*timer)))
	}
}

// Keeps the processor busy.
func spin(milliseconds float64) {
	for end := time.Now().Add(time.Duration(milliseconds * 1e6)); time.Now().Before(end); {
	}
}

// Asks service E over whichever connection Go's client takes, and notes the times.
func (s *service) ask(made *span, path string) error {
	s.pause()
	id, local, sent := newID(), "", int64(0)
	trace := &httptrace.ClientTrace{
		GotConn:      func(info httptrace.GotConnInfo) { local = info.Conn.LocalAddr().String() },
		WroteRequest: func(httptrace.WroteRequestInfo) { sent = now() },
	}
	request, err := http.NewRequest("GET", "http://"+*rates+path, nil)
	if err != nil {
		return err
	}
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), trace))
	request.Header.Set("X-Request-Id", made.id)
	request.Header.Set("X-Testbed-Span", id)
	started, status := now(), 0
	response, err := s.client.Do(request)
	if err == nil {
		status = response.StatusCode
		_, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	ended := now()
	made.mutex.Lock()
	defer made.mutex.Unlock()
	made.calls = append(made.calls, object{
		"call_id": id, "order": len(made.calls), "protocol": "http1", "operation": "GET", "resource": path,
		"status": status, "error": fmt.Sprint(err), "local": local, "remote": *rates,
		"t_start_ns": started, "t_sent_ns": sent, "t_end_ns": ended,
	})
	return err
}

// All steps: at once, each in a goroutine of its own, or one after the other.
func (s *service) all(made *span, together bool, paths ...string) error {
	if !together {
		for _, path := range paths {
			if err := s.ask(made, path); err != nil {
				return err
			}
			spin(s.draw() * 0.4)
		}
		return nil
	}
	errs := make(chan error, len(paths))
	for _, path := range paths {
		go func() { errs <- s.ask(made, path) }()
	}
	for range paths {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

// A quote asks for one to three rates; a search finds something first.
func (s *service) answer(made *span, path string, body []byte) error {
	spin(0.05 + s.draw()*0.6)
	if item, quote := strings.CutPrefix(path, "/quote/"); quote {
		paths := []string{"/rate/" + item, "/rate/1", "/find/" + item}
		s.mutex.Lock()
		s.chance.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
		s.mutex.Unlock()
		return s.all(made, s.draw() < 0.4, paths[:1+int(s.draw()*3)]...)
	}
	var asked struct{ Item int }
	if err := json.Unmarshal(body, &asked); err != nil {
		return err
	}
	item := strconv.Itoa(asked.Item)
	if err := s.ask(made, "/find/"+item); err != nil {
		return err
	}
	if s.draw() < 0.5 {
		return s.ask(made, "/rate/"+item)
	}
	return nil
}

func (s *service) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	read, thread := now(), syscall.Gettid()
	made := &span{id: request.Header.Get("X-Request-Id"), calls: []object{}}
	if err == nil {
		err = s.answer(made, request.URL.Path, body)
	}
	status, answer := http.StatusOK, object{"quote": 105}
	if err != nil {
		status, answer = http.StatusInternalServerError, object{"error": err.Error()}
	}
	said, _ := json.Marshal(answer)
	writer.Header().Set("Content-Type", "application/json")
	writer.Header().Set("Content-Length", strconv.Itoa(len(said)))
	before := now()
	writer.WriteHeader(status)
	writer.Write(said)
	line, _ := json.Marshal(object{
		"service": "D", "request_id": made.id, "parent_call_id": request.Header.Get("X-Testbed-Span"),
		"span_id": newID(), "method": request.Method, "path": request.URL.Path, "status": status, "error": fmt.Sprint(err),
		"pid": os.Getpid(), "thread": thread, "thread_write": syscall.Gettid(),
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
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4 * *concurrency, DisableCompression: true, DisableKeepAlives: !*keep}}
	log.Fatal(http.ListenAndServe(*listen, &service{client: client, chance: mathrand.New(mathrand.NewSource(*seed)), truth: truth}))
}
