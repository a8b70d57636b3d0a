package canary

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// TestFoundInEverySpelling makes sure that the search itself would notice.
func TestFoundInEverySpelling(t *testing.T) {
	c := New("self")
	quoted, err := json.Marshal(c.Value)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"raw": c.Value, "SQL": strings.ReplaceAll(c.Value, "'", "''"), "JSON": string(quoted), "Go": strconv.Quote(c.Value),
		"URL": url.QueryEscape(c.Value), "path": url.PathEscape(c.Value), "HTML": html.EscapeString(c.Value), "hex": fmt.Sprintf("%x", c.Value),
		"base64": base64.StdEncoding.EncodeToString([]byte("user:" + c.Value)), "upper case": strings.ToUpper(c.Value),
		"first half": c.Value[:len(c.Value)/2], "second half": c.Value[len(c.Value)/2:], "one rest": "******" + c.pieces[3] + "******",
	} {
		if c.Found("before "+text+" after") == "" {
			t.Errorf("not found in %s: %s", name, text)
		}
	}
	if found := c.Found(New("another").Value); found != "" {
		t.Errorf("found in another canary: %s", found)
	}
}
