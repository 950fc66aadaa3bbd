package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// Store is the job's object store.  Objects appear whole or not at all.
type Store interface {
	Put(ctx context.Context, key string, data []byte) error
	Get(ctx context.Context, key string) ([]byte, error)
	// List gives the keys that begin with prefix.
	List(ctx context.Context, prefix string) ([]string, error)
	URL(key string) string
}

// StorageError is what the object store would not do.
type StorageError struct{ Err error }

func (e *StorageError) Error() string { return "storage: " + e.Err.Error() }
func (e *StorageError) Unwrap() error { return e.Err }

func storageError(err error) error {
	if err == nil {
		return nil
	}
	return &StorageError{err}
}

// NewStore reads where the object store is from the environment.
func NewStore(getenv func(string) string) (Store, error) {
	if address := getenv("KUBEMR_STORAGE_URL"); address != "" {
		if rest, ok := strings.CutPrefix(address, "s3://"); ok {
			bucket, prefix, _ := strings.Cut(rest, "/")
			return newS3(getenv, bucket, prefix)
		}
		root, err := filePath(address)
		if err != nil {
			return nil, fmt.Errorf("KUBEMR_STORAGE_URL is %q: %w", address, err)
		}
		return &directory{root}, nil
	}
	return newS3(getenv, getenv("KUBEMR_S3_BUCKET_NAME"), getenv("KUBEMR_S3_BUCKET_PREFIX"))
}

// filePath is the path that a file:// address names.
func filePath(address string) (string, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	if parsed.Scheme != "file" || (parsed.Host != "" && parsed.Host != "localhost") || !strings.HasPrefix(parsed.Path, "/") {
		return "", errors.New("must be file:///an/absolute/path")
	}
	return filepath.Clean(parsed.Path), nil
}

type directory struct{ root string }

// Files that are still being written are named like this; they are no objects.
const partMark = ".kubemr-part-"

func (d *directory) Put(_ context.Context, key string, data []byte) error {
	path := filepath.Join(d.root, key)
	for attempt := 0; ; attempt++ {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return storageError(err)
		}
		err := d.write(path, data)
		if !errors.Is(err, fs.ErrNotExist) || attempt == 100 { // the folder may have been pruned in between
			return storageError(err)
		}
	}
}

func (d *directory) write(path string, data []byte) error {
	part, err := os.CreateTemp(filepath.Dir(path), partMark+"*")
	if err != nil {
		return err
	}
	_, err = part.Write(data)
	if err == nil {
		err = part.Chmod(0o644)
	}
	if closing := part.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(part.Name(), path)
	}
	if err != nil {
		os.Remove(part.Name())
	}
	return err
}

func (d *directory) Get(_ context.Context, key string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(d.root, key))
	return data, storageError(err)
}

func (d *directory) List(_ context.Context, prefix string) ([]string, error) {
	var keys []string
	err := filepath.WalkDir(filepath.Join(d.root, prefix), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !entry.IsDir() && !strings.HasPrefix(entry.Name(), partMark) {
			key, _ := filepath.Rel(d.root, path)
			keys = append(keys, key)
		}
		return err
	})
	sort.Strings(keys)
	return keys, storageError(err)
}

func (d *directory) URL(key string) string {
	return (&url.URL{Scheme: "file", Path: filepath.Join(d.root, key)}).String()
}

type s3 struct {
	client         *minio.Client
	bucket, prefix string
}

func newS3(getenv func(string) string, bucket, prefix string) (Store, error) {
	if bucket == "" {
		return nil, errors.New("no object store: set KUBEMR_S3_BUCKET_NAME (and KUBEMR_S3_ENDPOINT, …) or KUBEMR_STORAGE_URL")
	}
	client, err := s3Client(getenv)
	if err != nil {
		return nil, err
	}
	if prefix = strings.Trim(prefix, "/"); prefix != "" {
		prefix += "/"
	}
	return &s3{client, bucket, prefix}, nil
}

func s3Client(getenv func(string) string) (*minio.Client, error) {
	region, endpoint := getenv("KUBEMR_S3_REGION"), getenv("KUBEMR_S3_ENDPOINT")
	if region == "" {
		region = "us-east-1"
	}
	if endpoint == "" {
		endpoint = "https://s3." + region + ".amazonaws.com"
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	parsed, err := url.Parse(endpoint)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") || strings.Trim(parsed.Path, "/") != "" {
		return nil, fmt.Errorf("KUBEMR_S3_ENDPOINT is %q: must be http://host:port or https://host", endpoint)
	}
	key, secret := getenv("KUBEMR_S3_ACCESS_KEY_ID"), getenv("KUBEMR_S3_SECRET_ACCESS_KEY")
	if (key == "") != (secret == "") {
		return nil, errors.New("of KUBEMR_S3_ACCESS_KEY_ID and KUBEMR_S3_SECRET_ACCESS_KEY only one is set: set both, or none to use the pod's identity")
	}
	identity := credentials.NewStaticV4(key, secret, "")
	if key == "" {
		identity = credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.IAM{}})
	}
	return minio.New(parsed.Host, &minio.Options{Creds: identity, Secure: parsed.Scheme == "https", Region: region})
}

func (s *s3) Put(ctx context.Context, key string, data []byte) error {
	_, err := s.client.PutObject(ctx, s.bucket, s.prefix+key, bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{})
	return storageError(err)
}

func (s *s3) Get(ctx context.Context, key string) ([]byte, error) {
	return getObject(ctx, s.client, s.bucket, s.prefix+key)
}

func getObject(ctx context.Context, client *minio.Client, bucket, key string) ([]byte, error) {
	reader, err := client.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, storageError(err)
	}
	defer reader.Close()
	data, err := io.ReadAll(reader)
	if err != nil {
		err = fmt.Errorf("s3://%s/%s: %w", bucket, key, err)
	}
	return data, storageError(err)
}

func (s *s3) List(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	for item := range s.client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}) {
		if item.Err != nil {
			return nil, storageError(item.Err)
		}
		keys = append(keys, strings.TrimPrefix(item.Key, s.prefix))
	}
	return keys, nil
}

func (s *s3) URL(key string) string { return "s3://" + s.bucket + "/" + s.prefix + key }

// Fetch reads what lies at an address: s3://, http(s)://, file://, or a plain path.
func Fetch(ctx context.Context, getenv func(string) string, address string) ([]byte, error) {
	scheme, rest, ok := strings.Cut(address, "://")
	switch {
	case !ok:
		return os.ReadFile(address)
	case scheme == "s3":
		client, err := s3Client(getenv)
		if err != nil {
			return nil, err
		}
		bucket, key, _ := strings.Cut(rest, "/")
		return getObject(ctx, client, bucket, key)
	case scheme == "http" || scheme == "https":
		return download(ctx, address)
	default:
		path, err := filePath(address)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
		return os.ReadFile(path)
	}
}

func download(ctx context.Context, address string) ([]byte, error) {
	var wait backoff
	for {
		data, again, err := downloadOnce(ctx, address)
		if err == nil || !again || wait.attempts == 6 {
			return data, err
		}
		if stopped := wait.sleep(ctx, 0); stopped != nil {
			return nil, err
		}
	}
}

func downloadOnce(ctx context.Context, address string) ([]byte, bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, false, err
	}
	client := http.Client{Timeout: 10 * time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return nil, true, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		again := response.StatusCode >= 500 || response.StatusCode == http.StatusTooManyRequests
		return nil, again, fmt.Errorf("%s: %s", address, response.Status)
	}
	data, err := io.ReadAll(response.Body)
	return data, true, err
}
