// Command generator makes the load of the benchmark as kube-apiserver makes it: with grpc-go, one connection, calls that wait for
// it. It reads one job as JSON on stdin and writes its figures as JSON on stdout.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

type target struct {
	// SocketPath is the provider's; without it Transit is called.
	SocketPath, URL, MountPath, KeyName, Token, CaPem, ServerName, AssociatedData string
}

type job struct {
	Target                   target
	Method                   string
	Callers, Calls, Distinct int
	// TimeoutMs is the deadline of each call.
	TimeoutMs  int
	WatchedPid int
}

type result struct {
	CallsPerSecond float64 `json:"callsPerSecond"`
	P50Ms          float64 `json:"p50Ms"`
	P99Ms          float64 `json:"p99Ms"`
	Failed         int64   `json:"failed"`
	CPUMicros      float64 `json:"cpuMicros"`
}

// call makes the n-th call of a job.
type call func(ctx context.Context, n int) error

var seed = bytes.Repeat([]byte{7}, 32)

func main() {
	var work job
	if err := json.NewDecoder(os.Stdin).Decode(&work); err != nil {
		fail(err)
	}
	prepare := throughProvider
	if work.Target.SocketPath == "" {
		prepare = direct
	}
	once, err := prepare(work)
	if err != nil {
		fail(err)
	}
	inParallel(work, min(1000, work.Calls/4), once, nil)
	latencies := make([]time.Duration, work.Calls)
	cpuBefore := cpuSeconds(work.WatchedPid)
	began := time.Now()
	failed := inParallel(work, work.Calls, once, latencies)
	seconds := time.Since(began).Seconds()
	cpu := cpuSeconds(work.WatchedPid) - cpuBefore
	slices.Sort(latencies)
	at := func(quantile float64) float64 {
		return float64(latencies[min(work.Calls-1, int(quantile*float64(work.Calls)))]) / 1e6
	}
	out := result{float64(work.Calls) / seconds, at(0.5), at(0.99), failed, cpu * 1e6 / float64(work.Calls)}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "generator:", err)
	os.Exit(1)
}

// inParallel makes calls with a fixed number of callers, each starting its next when its last has ended.
func inParallel(work job, calls int, once call, latencies []time.Duration) int64 {
	var next, failed atomic.Int64
	var group sync.WaitGroup
	for range work.Callers {
		group.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= calls {
					return
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(work.TimeoutMs)*time.Millisecond)
				began := time.Now()
				if err := once(ctx, n); err != nil {
					failed.Add(1)
				}
				cancel()
				if latencies != nil {
					latencies[n] = time.Since(began)
				}
			}
		})
	}
	group.Wait()
	return failed.Load()
}

// raw hands messages through as they are: the few that there are need no generated code.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(message any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(message.([]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, message any) error {
	*message.(*[]byte) = data.Materialize()
	return nil
}

var _ encoding.CodecV2 = raw{}

func throughProvider(work job) (call, error) {
	connection, err := grpc.NewClient("unix://"+work.Target.SocketPath,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithAuthority("localhost"),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true), grpc.ForceCodecV2(raw{})))
	if err != nil {
		return nil, err
	}
	invoke := func(ctx context.Context, method string, message []byte) ([]byte, error) {
		var reply []byte
		err := connection.Invoke(ctx, "/v2.KeyManagementService/"+method, message, &reply)
		return reply, err
	}
	encrypt := field(field(nil, 1, seed), 2, []byte("bench"))
	messages := [][]byte{nil}
	switch work.Method {
	case "Encrypt":
		messages[0] = encrypt
	case "Decrypt":
		messages = messages[:0]
		for n := range work.Distinct {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			sealed, err := invoke(ctx, "Encrypt", encrypt)
			cancel()
			if err != nil {
				return nil, err
			}
			message, err := decryptRequest(sealed, "bench-"+strconv.Itoa(n))
			if err != nil {
				return nil, err
			}
			messages = append(messages, message)
		}
	}
	return func(ctx context.Context, n int) error {
		_, err := invoke(ctx, work.Method, messages[n%len(messages)])
		return err
	}, nil
}

func field(message []byte, number protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(message, number, protowire.BytesType), value)
}

// decryptRequest makes a DecryptRequest of an EncryptResponse: ciphertext stays 1, key_id 2 becomes 3, annotations 3 become 4.
func decryptRequest(sealed []byte, uid string) ([]byte, error) {
	message := field(nil, 2, []byte(uid))
	for len(sealed) > 0 {
		number, kind, tag := protowire.ConsumeTag(sealed)
		if tag < 0 || kind != protowire.BytesType {
			return nil, errors.New("an EncryptResponse that is none")
		}
		value, length := protowire.ConsumeBytes(sealed[tag:])
		if length < 0 {
			return nil, protowire.ParseError(length)
		}
		if number > 1 {
			number++
		}
		message = field(message, number, value)
		sealed = sealed[tag+length:]
	}
	return message, nil
}

func direct(work job) (call, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(work.Target.CaPem)) {
		return nil, errors.New("no certificate in caPem")
	}
	client := &http.Client{Transport: &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: work.Target.ServerName},
	}}
	post := func(ctx context.Context, verb string, body map[string]string) (string, error) {
		encoded, err := json.Marshal(body)
		if err != nil {
			return "", err
		}
		url := fmt.Sprintf("%s/v1/%s/%s/%s", work.Target.URL, work.Target.MountPath, verb, work.Target.KeyName)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(encoded))
		if err != nil {
			return "", err
		}
		request.Header.Set("X-Vault-Token", work.Target.Token)
		request.Header.Set("X-Vault-Request", "true")
		answer, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			return "", err
		}
		if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
			return "", fmt.Errorf("%s answered %s over %s", verb, answer.Status, answer.Proto)
		}
		var decoded struct{ Data struct{ Ciphertext string } }
		err = json.Unmarshal(text, &decoded)
		return decoded.Data.Ciphertext, err
	}
	plaintext := map[string]string{"plaintext": base64.StdEncoding.EncodeToString(seed), "associated_data": work.Target.AssociatedData}
	if work.Method == "Encrypt" {
		return func(ctx context.Context, _ int) error {
			_, err := post(ctx, "encrypt", plaintext)
			return err
		}, nil
	}
	var bodies []map[string]string
	for range work.Distinct {
		sealed, err := post(context.Background(), "encrypt", plaintext)
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, map[string]string{"ciphertext": sealed, "associated_data": work.Target.AssociatedData})
	}
	return func(ctx context.Context, n int) error {
		_, err := post(ctx, "decrypt", bodies[n%len(bodies)])
		return err
	}, nil
}

// cpuSeconds is what all threads of a process have used, user and system; 0 for no process.
func cpuSeconds(pid int) float64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The command's name, in parentheses, may have blanks; utime and stime are the 14th and 15th field.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+2:]))
	ticks := 0.0
	for _, text := range fields[11:13] {
		value, _ := strconv.ParseFloat(text, 64)
		ticks += value
	}
	return ticks / 100
}
