package worker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	jobs     = "apis/turbobytes.com/v1alpha1/namespaces/%s/mapreducejobs"
	shards   = "apis/turbobytes.com/v1alpha1/namespaces/%s/mapreducetaskshards"
	leases   = "apis/coordination.k8s.io/v1/namespaces/%s/leases"
	account  = "/var/run/secrets/kubernetes.io/serviceaccount"
	patience = 30 * time.Second
	// denialPatience is how long a denial may last until it is believed.
	denialPatience = 10 * time.Second
	// How long a request that is under way may still last once the worker was told to end.
	lastWords = 4 * time.Second
)

// Client speaks to the apiserver.  It never repeats a request by itself.
type Client struct {
	base      string
	token     string
	tokenFile string
	http      *http.Client
	longest   time.Duration // bounds each request and each wait before the next; 0 for what is usual
}

// waitingAtMost is the same client with another bound.
func (c *Client) waitingAtMost(longest time.Duration) *Client {
	other := *c
	other.longest = longest
	return &other
}

func (c *Client) atMost(usual time.Duration) time.Duration {
	if c.longest > 0 {
		return min(usual, c.longest)
	}
	return usual
}

// Answer is what came back.  Status 0 is no answer at all: unless Sent is false, the request may have been carried out.
type Answer struct {
	Status     int
	Body       []byte
	Err        error
	Sent       bool
	RetryAfter time.Duration
}

// OK is a 2xx.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status < 300 }

// Definite: the request was certainly carried out, or certainly not.
func (a Answer) Definite() bool {
	if a.Status == 0 {
		return !a.Sent
	}
	return a.Status < 500
}

func (a Answer) String() string {
	if a.Err != nil {
		return a.Err.Error()
	}
	var status struct{ Message string }
	if json.Unmarshal(a.Body, &status) == nil && status.Message != "" {
		return fmt.Sprintf("%d: %s", a.Status, status.Message)
	}
	return strconv.Itoa(a.Status)
}

// NewClient reads where the apiserver is from the environment.
func NewClient(getenv func(string) string) (*Client, error) {
	client := &Client{base: getenv("KUBEMR_APISERVER"), token: getenv("KUBEMR_APISERVER_TOKEN")}
	authority := getenv("KUBEMR_APISERVER_CA")
	if client.base == "" {
		host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
		if host == "" || port == "" {
			return nil, errors.New("no apiserver: neither KUBEMR_APISERVER nor KUBERNETES_SERVICE_HOST and _PORT are set")
		}
		client.base = "https://" + net.JoinHostPort(host, port)
		client.tokenFile, authority = account+"/token", account+"/ca.crt"
		if _, err := os.Stat(client.tokenFile); err != nil {
			return nil, fmt.Errorf("no service account token: %w; the pod needs a service account", err)
		}
	}
	parsed, err := url.Parse(client.base)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return nil, fmt.Errorf("KUBEMR_APISERVER is %q: must be http://host:port or https://host:port", client.base)
	}
	client.base = strings.TrimRight(client.base, "/")
	transport := &http.Transport{
		Proxy:               nil, // an apiserver is never behind the proxy that HTTP_PROXY names for the Internet
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     60 * time.Second,
	}
	if authority != "" {
		pem, err := os.ReadFile(authority)
		if err != nil {
			return nil, fmt.Errorf("the apiserver's authority: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the apiserver's authority: %s holds no certificate in PEM", authority)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	client.http = &http.Client{Transport: transport}
	return client, nil
}

func (c *Client) request(ctx context.Context, method, path, query string, body []byte) (*http.Response, error) {
	address := c.base + "/" + path
	if query != "" {
		address += "?" + query
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json-patch+json")
	}
	token := c.token
	if c.tokenFile != "" { // Kubernetes writes a new one about hourly
		text, err := os.ReadFile(c.tokenFile)
		if err != nil {
			return nil, err
		}
		token = strings.TrimSpace(string(text))
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return c.http.Do(request)
}

// exchange is one request, sent again while it is denied: an apiserver that has just been started answers before it has
// read who may do what, so a denial is believed only when it has lasted for denialPatience.
func (c *Client) exchange(ctx context.Context, method, path, query string, body []byte) Answer {
	began := time.Now()
	for wait := (backoff{longest: c.atMost(time.Second)}); ; {
		answer := c.once(ctx, method, path, query, body)
		denied := answer.Status == http.StatusForbidden || answer.Status == http.StatusUnauthorized
		if !denied || time.Since(began) > denialPatience {
			return answer
		}
		if err := wait.sleep(ctx, 0); err != nil {
			return Answer{Err: err}
		}
	}
}

// once is one request.  A request that is under way when ctx ends is given a moment, for a patch that is cut off may
// land all the same.
func (c *Client) once(ctx context.Context, method, path, query string, body []byte) Answer {
	if err := context.Cause(ctx); err != nil {
		return Answer{Err: err}
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.atMost(patience))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWords, cancel) })()
	response, err := c.request(within, method, path, query, body)
	if err != nil {
		var dial *net.OpError
		return Answer{Err: err, Sent: !(errors.As(err, &dial) && dial.Op == "dial")}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{Err: err, Sent: true}
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return Answer{Status: response.StatusCode, Body: text, Sent: true, RetryAfter: time.Duration(seconds) * time.Second}
}

// watch waits for the first event of a watch, at most until ctx ends; false when it could not be opened or ended with an
// error.  It is a hint to look sooner, no more.
func (c *Client) watch(ctx context.Context, path string, query url.Values, longest time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	query.Set("watch", "1")
	query.Set("timeoutSeconds", strconv.Itoa(int(longest.Seconds())+1))
	response, err := c.request(ctx, http.MethodGet, path, query.Encode(), nil)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return false
	}
	var event struct{ Type string }
	return json.NewDecoder(response.Body).Decode(&event) == nil && event.Type != "ERROR"
}
