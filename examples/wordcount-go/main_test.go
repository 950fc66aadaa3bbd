package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Words are runs of bytes other than the six of ASCII white space, in any encoding.
func TestWords(t *testing.T) {
	var words []string
	forWords([]byte("\n \t caf\xe9 caf\xc3\xa9 a\x00b\r\nx\x0by\x0cx\xa0x \x85 x"), func(word []byte) {
		words = append(words, string(word))
	})
	if want := []string{"caf\xe9", "caf\xc3\xa9", "a\x00b", "x", "y", "x\xa0x", "\x85", "x"}; !slices.Equal(words, want) {
		t.Errorf("words %q, expected %q", words, want)
	}
}

// The partition is the 32-bit FNV-1a hash (its authors' test vector for "foobar" is 0xbf9cf968) modulo the partitions.
func TestPartition(t *testing.T) {
	if got, want := partition("foobar", 1000), 0xbf9cf968%1000; got != want {
		t.Errorf("partition %d, expected %d", got, want)
	}
}

// Patterns are those of Python's glob: ** for any folders, [!…], and hidden files only where asked for.
func TestGlob(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"a.py", "b.py", "c.txt", ".h.py", "d/e.py", "d/f/g.py", "d/.i/j.py"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for pattern, want := range map[string]string{
		"a.py": "a.py", "*.py": "a.py b.py", "[!a].py": "b.py", ".*.py": ".h.py", "*/*.py": "d/e.py",
		"**/*.py": "a.py b.py d/e.py d/f/g.py", "d/**/g.py": "d/f/g.py", "no*": "", "d/../c.txt": "c.txt",
	} {
		var found []string
		for _, path := range glob(root, strings.Split(pattern, "/")) {
			name, _ := filepath.Rel(root, path)
			found = append(found, name)
		}
		slices.Sort(found)
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%s: %q, expected %q", pattern, got, want)
		}
	}
}
