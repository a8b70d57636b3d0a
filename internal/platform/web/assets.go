package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// assets are scripts, styles and pictures. The address of each has the digest of its content, so browsers keep it for ever.
type assets struct{ byName map[string]*asset }

type asset struct {
	hash    string
	kind    string
	content []byte
	zip     sync.Once
	zipped  []byte // nil: it does not pay
}

func readAssets() *assets {
	a := &assets{byName: map[string]*asset{}}
	list, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err) // what is embedded can be read
	}
	for _, e := range list {
		content, err := files.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(content)
		kind := map[string]string{".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}[path.Ext(e.Name())]
		if kind == "" {
			kind = mime.TypeByExtension(path.Ext(e.Name()))
		}
		a.byName[e.Name()] = &asset{hash: hex.EncodeToString(sum[:6]), kind: kind, content: content}
	}
	return a
}

// url is the address of an asset.
func (a *assets) url(name string) (string, error) {
	x := a.byName[name]
	if x == nil {
		return "", fmt.Errorf("internal error (a bug): unknown asset %s", name)
	}
	return "/assets/" + x.hash + "/" + name, nil
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	x := a.byName[r.PathValue("name")]
	if x == nil || x.hash != r.PathValue("hash") { // of another build: what it had in this place is not here
		http.Error(w, "unknown asset; load the page again", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", x.kind)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	content := x.content
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		if z := x.gzip(); z != nil {
			h.Set("Content-Encoding", "gzip")
			content = z
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	w.Write(content)
}

func (x *asset) gzip() []byte {
	x.zip.Do(func() {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is a valid one
		z.Write(x.content)
		z.Close()
		if b.Len() < len(x.content)*9/10 {
			x.zipped = b.Bytes()
		}
	})
	return x.zipped
}
