package canary

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"flink-entrypoint/test/faultserver"
)

// TestServersThatRepeatSecrets: a service, or a proxy before it, that answers with a part of the request brought a token or a
// password from its own status line, header, Location, encoding or length into the log. Whatever is fetched, at each place and in each
// spelling, nothing of a secret is in stderr, in the termination message, or in what explain and validate print. The unit tests of
// the room fetch repeat each secret everywhere.
func TestServersThatRepeatSecrets(t *testing.T) {
	s, err := faultserver.StartEcho()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const user, password = "uS8eRn9aMe0q", "pW3o/eIr4:uty5@lkJ6#hg?fd s7+"
	secrets := []string{"tk0Kq1Wx2Zc3v/Bn4Ml5+Pj6==", `hD7f"Gh6j\Kl5'zX4 cV3bN2m`, password, user, "qR4z&sT5y=uV6x wW7v+Z/8", base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
	uri := func(path string) string {
		return "http://" + url.UserPassword(user, password).String() + "@" + s.Address + path + "?id=7&sig=" + url.QueryEscape(secrets[4])
	}
	w := newMachine(t)
	token := w.write("echo-token", secrets[0]+"\n", 0o600)
	define := func(name, document string) string { // at the same service, which gets the same credentials for all of it
		document = "apiVersion: flink-entrypoint/v1\nname: echo\n" + document
		s.Answer(name, fmt.Sprintf("HTTP/1.1 200 x\r\nContent-Length: %d\r\n\r\n%s", len(document), document))
		return uri("/" + name)
	}
	kinds := []struct{ name, definition string }{
		{"definition", uri("/x")},
		{"artifact", define("artifact.yaml", "artifacts: [{uri: "+jsonQuoted(uri("/x/a.jar"))+"}]\nsql: {script: INSERT INTO a SELECT 1}\n")},
		{"artifact from a reference", define("reference.yaml", "artifacts: [{uri: {fromEnv: ARTIFACT}}]\nsql: {script: INSERT INTO a SELECT 1}\n")},
		{"script", define("script.yaml", "sql: {scriptUri: "+jsonQuoted(uri("/x"))+"}\n")},
		{"script from a reference", define("scriptreference.yaml", "sql: {scriptUri: {fromEnv: ARTIFACT}}\n")},
	}
	w.env["ARTIFACT"] = uri("/x/a.jar")
	ways := [][]string{{"standalone-job"}, {"--output", "json", "explain", "standalone-job"}, {"--output", "html", "explain", "standalone-job"}, {"--output", "json", "validate"}, {"explain", "standalone-job"}}
	replies, spellings, n := faultserver.Replies(), slices.Sorted(maps.Keys(faultserver.Spellings(password))), 0
	failed, answered := 0, 0
	for _, place := range slices.Sorted(maps.Keys(replies)) {
		for range 6 {
			n++
			if testing.Short() && n%13 != 0 { // other kinds, secrets and spellings by turns
				continue
			}
			kind, secret, spelling := kinds[n%len(kinds)], secrets[n%len(secrets)], spellings[n%len(spellings)]
			s.Answer("x", replies[place](faultserver.Spellings(secret)[spelling]))
			format, level := []string{"text", "json"}[n%2], []string{"debug", "info", "debug", "warn", "error"}[n/2%5]
			way := ways[n%len(ways)]
			if strings.HasPrefix(kind.name, "artifact") {
				way = ways[0] // nothing else fetches them
			}
			o := w.run(join([]string{"--definition", kind.definition, "--definition-token-file", token, "--definition-header", "X-Tenant: " + secrets[1],
				"--log-level", level, "--log-format", format, "--fetch-timeout", "40ms", "--memory-limit", "2g", "--sysroot", filepath.Join(w.dir, "sysroot"),
				"--run-dir", w.runDir(), "--termination-log", filepath.Join(w.dir, "termination")}, way)...)
			if o.code != 0 {
				failed++
				if o.termination != "" {
					answered++
				}
			}
			all := o.stdout + "\n" + o.stderr + "\n" + o.termination
			for i, v := range secrets {
				if piece := Shows(all, v); piece != "" {
					t.Errorf("%s of secret %d, %s, %s, %s log, %q: %q of secret %d is shown:\n%s", place, n%len(secrets), spelling, kind.name, format, way, piece, i, all)
				}
			}
			for line := range strings.Lines(o.stderr) {
				if format == "json" && strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) {
					t.Errorf("a line of the log is not JSON: %s", line)
				}
			}
			_ = os.RemoveAll(w.runDir())
		}
	}
	if failed < n/26 || answered != failed {
		t.Errorf("of %d runs %d failed, with %d termination messages: want more failures, each with a message", n, failed, answered)
	}
	fmt.Fprintln(t.Output(), n, "runs,", failed, "failed")
}
