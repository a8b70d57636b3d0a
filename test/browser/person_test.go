//go:build browser

package browser

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// patience is for what JVMs do on a busy machine.
const patience = 2 * time.Minute

// A person has a browser.
type person struct {
	t       *testing.T
	p       *platform
	ctx     context.Context
	console *console
}

// A console has what the pages complained about.
type console struct {
	mu   sync.Mutex
	said []string
}

// person starts a browser, signed in nowhere.
func (p *platform) person(t *testing.T) *person {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()), chromedp.Flag("lang", "en"), chromedp.Env("TZ=UTC"))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // the browser lives as long as the context of the first call, so that one has no deadline
		t.Fatal(err)
	}
	s := &person{t: t, p: p, ctx: ctx, console: &console{}}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			// That the page of an error has its status is not a complaint.
			if (m.IsException() || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning) && m.Source != "network" {
				s.console.mu.Lock()
				s.console.said = append(s.console.said, m.String()+" "+m.URL)
				s.console.mu.Unlock()
			}
		}
	}()
	s.do("keep the focus in the page, also after its last element", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return err
	}))
	s.emulate(desktop, "light")
	return s
}

// in is the same person in another test.
func (s *person) in(t *testing.T) *person {
	same, platform := *s, *s.p
	same.t, platform.t, same.p = t, t, &platform
	t.Cleanup(same.quiet)
	return &same
}

// quiet checks that no page has complained: no exception, and nothing that the policy for contents has stopped.
func (s *person) quiet() {
	s.console.mu.Lock()
	defer s.console.mu.Unlock()
	for _, said := range s.console.said {
		s.t.Errorf("the browser's console: %s", said)
	}
	s.console.said = nil
}

// signIn opens a link, as "flink-platform link" prints it.
func (s *person) signIn() {
	s.t.Helper()
	s.do("open the link", chromedp.Navigate(strings.TrimSpace(s.p.must("link"))))
	if asked, err := s.holds(`location.pathname === "/enter"`); err != nil {
		s.t.Fatal(err)
	} else if asked { // it is not signed in yet
		s.click("main form button")
	}
	s.until("signed in", `location.pathname === "/"`)
}

func (s *person) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		s.t.Fatalf("%s: %v\n%s", what, err, s.seen())
	}
}

// open goes to a path of the platform.
func (s *person) open(path string) {
	s.t.Helper()
	s.do("open "+path, chromedp.Navigate(s.p.url+path))
}

// eval evaluates an expression in the page, and waits for it where it is a promise.
func eval[T any](s *person, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// holds evaluates a condition in the page.
func (s *person) holds(condition string) (bool, error) {
	return eval[bool](s, "Boolean("+condition+")")
}

// until waits for a condition in the page, which may be another one by then. (chromedp.Poll makes functions of texts, which the pages forbid.)
func (s *person) until(what, condition string) {
	s.t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var holds bool
		if holds, err = s.holds(condition); holds {
			return
		}
	}
	s.t.Fatalf("not after %s: %s: %s (%v)\n%s", patience, what, condition, err, s.seen())
}

// is checks a condition in the page.
func (s *person) is(what, condition string) {
	s.t.Helper()
	if holds, err := s.holds(condition); !holds {
		s.t.Errorf("not so: %s: %s (%v)\n%s", what, condition, err, s.seen())
	}
}

func (s *person) click(selector string) {
	s.t.Helper()
	s.do("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

func (s *person) write(selector, text string) {
	s.t.Helper()
	s.do("write into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (s *person) text(selector string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS(selector)))
	if err != nil {
		s.t.Fatalf("read %s: %v\n%s", selector, err, s.seen())
	}
	return text
}

// paste puts a text where the focus is, as Ctrl-V does.
func (s *person) paste(text string) {
	s.t.Helper()
	s.do("paste", chromedp.Evaluate[chromedp.Void](`(() => {
		const data = new DataTransfer();
		data.setData("text/plain", `+quoted(text)+`);
		document.activeElement.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
	})()`))
}

// press presses keys where the focus is.
func (s *person) press(keys ...string) {
	s.t.Helper()
	s.do("type", chromedp.KeyEvent(strings.Join(keys, "")))
}

// quoted is a text as JavaScript writes it.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string has a form in JSON
	}
	return string(b)
}

// seen is what the page has, for the report of a failure. A picture of it is in the test's directory: go test -artifacts keeps that.
func (s *person) seen() string {
	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.pathname + location.search + "\n" + document.body.innerText`))
	if err != nil {
		return "the page cannot be read: " + err.Error()
	}
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return text + "\nno picture: " + err.Error()
	}
	file, err := os.CreateTemp(s.t.ArtifactDir(), "page-*.png")
	if err != nil {
		return text + "\nno picture: " + err.Error()
	}
	defer file.Close()
	if _, err := file.Write(picture); err != nil {
		return text + "\nno picture: " + err.Error()
	}
	absolute, err := filepath.Abs(file.Name())
	if err != nil {
		absolute = file.Name()
	}
	return text + "\npicture, kept by go test -artifacts: " + absolute
}
