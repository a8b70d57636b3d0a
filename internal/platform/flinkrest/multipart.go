package flinkrest

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
)

// multipartJar is the body of an upload. Flink wants the part's type (JarUploadHandler), which multipart.CreateFormFile does not set.
func multipartJar(name string, jar []byte) (io.Reader, string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name="jarfile"; filename=%q`, name)},
		"Content-Type":        {"application/x-java-archive"},
	})
	if err == nil {
		_, err = part.Write(jar)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err) // a bytes.Buffer takes everything
	}
	return &b, w.FormDataContentType()
}
