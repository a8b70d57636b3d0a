package flinkrest

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
)

// multipartJar is the body of an upload, its type, and its length. Flink wants the part's type (JarUploadHandler), which
// multipart.CreateFormFile does not set.
func multipartJar(name string, jar io.Reader, size int64) (body io.Reader, kind string, length int64) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name="jarfile"; filename=%q`, name)},
		"Content-Type":        {"application/x-java-archive"},
	})
	head := b.Len()
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return io.MultiReader(bytes.NewReader(b.Bytes()[:head]), jar, bytes.NewReader(b.Bytes()[head:])), w.FormDataContentType(), int64(b.Len()) + size
}
