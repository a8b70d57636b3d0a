package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"flink-entrypoint/internal/boot"
)

// debugFlags are those behind the word debug.
type debugFlags struct {
	boot.DebugOptions
	data []string
	show bool
}

func newDebugFlags(o *debugFlags) *pflag.FlagSet {
	f := pflag.NewFlagSet("debug", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {}
	f.Int64Var(&o.Rows, "rows", 10, "rows that each source makes")
	f.Int64Var(&o.RowsPerSecond, "rows-per-second", 0, "how fast (default: as fast as it goes)")
	f.StringArrayVar(&o.Keep, "keep", nil, "leave `TABLE` as it is; may be repeated")
	f.StringArrayVar(&o.data, "data", nil, "read `TABLE=FILE` (CSV or JSON) instead of making rows; may be repeated")
	f.Int64Var(&o.Seed, "seed", 0, "make the same numbers and strings each time")
	f.BoolVar(&o.show, "show", false, "print the rewritten SQL and what feeds what; run nothing")
	return f
}

// debug runs a SQL job here, on generated rows.
func (p *program) debug(ctx context.Context, words []string) error {
	var flags debugFlags
	set := newDebugFlags(&flags)
	if err := set.Parse(words); err != nil {
		if errors.Is(err, pflag.ErrHelp) {
			return p.help(ctx, []string{"debug"})
		}
		return debugUsage("debug: %w", err)
	}
	switch rest := set.Args(); {
	case len(rest) == 1:
		p.opts.Definition = rest[0]
	case len(rest) > 1 || p.opts.Definition == "":
		return debugUsage("debug needs one job, a definition or a .sql file; found %d", len(rest))
	}
	if flags.Rows < 1 || flags.RowsPerSecond < 1 && set.Changed("rows-per-second") {
		return debugUsage("--rows and --rows-per-second: expected a number of at least 1")
	}
	var err error
	if flags.Data, err = dataFiles(flags.data); err != nil {
		return err
	}
	if p.opts.logLevel == "info" && !p.levelGiven {
		p.log, _ = newLogger(p.redactor.Writer(p.Stderr), p.opts.logFormat, "warn") // rows are what is asked for
	}
	start := time.Now()
	local, err := boot.Debug(ctx, !flags.show, p.opts.Options, flags.DebugOptions, p.world(nil))
	if local != nil {
		defer local.Close()
	}
	if err != nil {
		return p.shownFaults(err)
	}
	if flags.show {
		p.warn(local.Warnings)
		return p.show(local)
	}
	return p.runLocal(ctx, local, start)
}

func (p *program) warn(warnings []string) {
	for _, w := range warnings {
		p.log.Warn(w)
	}
}

func debugUsage(format string, args ...any) error {
	return &boot.Error{Phase: boot.Usage, Err: fmt.Errorf(format, args...), Hint: "flink-entrypoint help debug shows its flags"}
}

// dataFiles reads --data. Paths become absolute: another process opens them.
func dataFiles(words []string) (map[string]string, error) {
	files := map[string]string{}
	for _, w := range words {
		table, file, ok := strings.Cut(w, "=")
		if !ok || table == "" || file == "" {
			return nil, debugUsage("--data: found %q, expected TABLE=FILE", w)
		}
		if other, twice := files[table]; twice {
			return nil, debugUsage("--data: table %s has two files, %q and %q", table, other, file)
		}
		if !strings.Contains(file, "://") && !strings.HasPrefix(file, "file:") {
			abs, err := filepath.Abs(file)
			if err != nil {
				return nil, debugUsage("--data: %w", err)
			}
			if _, err := os.Stat(abs); err != nil {
				return nil, debugUsage("--data: %w", err)
			}
			file = abs
		}
		files[table] = file
	}
	return files, nil
}

// show prints the rewritten SQL, and the lineage as a comment behind it, so that the output is a script.
func (p *program) show(local *boot.Local) error {
	var tree strings.Builder
	if err := local.Mocked.Tree(&tree); err != nil {
		return err
	}
	var b strings.Builder
	if len(local.Init) > 0 {
		b.WriteString("-- The definition's own statements.\n")
		b.WriteString(strings.Join(local.Init, ";\n") + ";\n\n")
	}
	script := local.Mocked.Parts[len(local.Mocked.Parts)-1].Text
	b.WriteString(strings.TrimRight(script, "\n") + "\n\n-- What feeds what:\n")
	for line := range strings.Lines(tree.String()) {
		b.WriteString("--   " + line)
	}
	_, err := io.WriteString(p.Stdout, p.redactor.Redact(b.String()))
	return err
}

// runLocal starts the runner, shows the rows of every sink, and tells what went wrong where.
func (p *program) runLocal(ctx context.Context, local *boot.Local, start time.Time) error {
	rows := &rowWriter{w: p.Stdout, colour: isTerminal(p.Stdout) && lookup(p.Env, "NO_COLOR") == "", redact: p.redactor.Redact}
	ready := func() {
		p.warn(local.Warnings)
		for _, t := range local.Mocked.Tables {
			if t.Identifier != "" {
				rows.sink(t.Identifier, t.Short)
			}
		}
	}
	var faults []boot.Fault
	var rest strings.Builder // what else it says on stderr
	p.signals.children.Store(true)
	code, err := runChild(ctx, local, ready, rows.line, func(line string) {
		fault, failed := local.Failure(line)
		switch {
		case failed:
			faults = append(faults, fault)
		case len(faults) > 0 || strings.Contains(line, ": job ") && strings.HasSuffix(line, " submitted"), strings.HasPrefix(line, "WARNING:"), strings.Contains(line, "VM warning:"):
		default:
			fmt.Fprintln(p.Stderr, p.redactor.Redact(line)) // of a function, or of Java itself
		}
		rest.WriteString(line + "\n")
	})
	if err != nil {
		return p.shownFaults(err)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	took := time.Since(start)
	first := "none"
	if rows.count > 0 {
		first = fmt.Sprintf("the first after %.1f s", rows.first.Sub(start).Seconds())
	}
	if code == 0 {
		fmt.Fprintf(p.Stderr, "%d rows in %.1f s, %s\n", rows.count, took.Seconds(), first)
		return nil
	}
	kept := keepLog(local, rest.String())
	if len(faults) == 0 {
		return &boot.Error{Phase: boot.SQL, Err: fmt.Errorf("java ended with %d and named no statement: %s", code, lastWords(rest.String())), Hint: kept}
	}
	p.writeFaults(faults)
	return &boot.Error{Phase: boot.SQL, Err: &boot.FaultsError{Faults: faults}, Hint: kept}
}

func lastWords(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, l := range lines {
		if strings.Contains(l, "Exception") || strings.Contains(l, "Error") {
			return strings.TrimSpace(l)
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// keepLog moves the log of a failed run, with the stack traces, to where it survives, and says where that is.
func keepLog(local *boot.Local, traces string) string {
	out, err := os.CreateTemp("", "flink-entrypoint-debug-*.log")
	if err != nil {
		return ""
	}
	defer out.Close()
	if in, err := os.Open(local.Log); err == nil {
		_, _ = io.Copy(out, in)
		in.Close()
	}
	_, _ = io.WriteString(out, traces)
	return "Flink's log with the stack trace is " + out.Name()
}

// runChild starts the runner, answers it, calls ready before the script begins, and hands on what it prints, line by line and
// one line at a time. It ends with ctx, and the child with it or with us, however that comes about.
func runChild(ctx context.Context, local *boot.Local, ready func(), stdout, stderr func(line string)) (code int, err error) {
	cmd := exec.CommandContext(ctx, local.Path)
	cmd.Args, cmd.Env = local.Argv, local.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the death of the thread that started the child counts as ours
	defer runtime.UnlockOSThread()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	var refused error
	if local.Asks() {
		in, err := cmd.StdinPipe()
		if err != nil {
			return 0, err
		}
		script := stdout
		stdout = func(line string) {
			if !local.Asks() {
				script(line)
				return
			}
			reply, err := local.Answer(line)
			if err != nil {
				refused = err
				in.Close() // it ends
				return
			}
			if reply != "" && !local.Asks() {
				ready()
			}
			_, _ = io.WriteString(in, reply) // where it fails the runner has ended, and says so itself
		}
	} else {
		ready()
	}
	if err := cmd.Start(); err != nil {
		return 0, &boot.Error{Phase: boot.Distribution, Err: fmt.Errorf("cannot start %s: %w", local.Path, err)}
	}
	var readers sync.WaitGroup
	var one sync.Mutex
	for _, r := range []struct {
		from io.Reader
		to   func(string)
	}{{out, stdout}, {errs, stderr}} {
		readers.Go(func() {
			lines := bufio.NewReader(r.from)
			for {
				line, err := lines.ReadString('\n')
				if line != "" {
					one.Lock()
					r.to(strings.TrimRight(line, "\r\n"))
					one.Unlock()
				}
				if err != nil {
					return
				}
			}
		})
	}
	readers.Wait()
	err = cmd.Wait()
	if refused != nil {
		return 0, refused
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

// rowWriter shows what print sinks write: "identifier> +I[…]", with parallel subtasks "identifier:2> +I[…]".
type rowWriter struct {
	w      io.Writer
	colour bool
	redact func(string) string
	sinks  []sinkName // longest identifier first
	width  int
	count  int
	first  time.Time
}

type sinkName struct{ identifier, short string }

func (r *rowWriter) sink(identifier, short string) {
	r.sinks = append(r.sinks, sinkName{identifier, short})
	slices.SortStableFunc(r.sinks, func(a, b sinkName) int { return len(b.identifier) - len(a.identifier) })
	r.width = max(r.width, len([]rune(short)))
}

// line shows one line of stdout: a row of a sink, aligned; anything else, such as the table of a SELECT, as it is.
func (r *rowWriter) line(line string) {
	name, op, row, ok := r.parse(line)
	if !ok {
		fmt.Fprintln(r.w, r.redact(line))
		return
	}
	if r.count++; r.count == 1 {
		r.first = time.Now()
	}
	shown := op
	if r.colour {
		shown = map[string]string{"+I": "\x1b[32m", "-U": "\x1b[2;36m", "+U": "\x1b[36m", "-D": "\x1b[31m"}[op] + op + "\x1b[0m"
	}
	fmt.Fprintf(r.w, "%s%s  %s  %s\n", name, strings.Repeat(" ", max(0, r.width-len([]rune(name)))), shown, r.redact(row))
}

func (r *rowWriter) parse(line string) (name, op, row string, ok bool) {
	for _, s := range r.sinks {
		rest, found := strings.CutPrefix(line, s.identifier)
		if !found {
			continue
		}
		where, row, found := strings.Cut(rest, "> ")
		if !found || where != "" && where[0] != ':' || len(row) < 4 || row[2] != '[' {
			continue
		}
		switch op := row[:2]; op {
		case "+I", "-U", "+U", "-D":
			return s.short, op, row[2:], true
		}
	}
	return "", "", "", false
}

// shownFaults shows the places of an error of the script, before it is reported as any other.
func (p *program) shownFaults(err error) error {
	var faults *boot.FaultsError
	if errors.As(err, &faults) {
		p.writeFaults(faults.Faults)
	}
	return err
}

// writeFaults shows each fault, with a caret below the text where there is one.
func (p *program) writeFaults(faults []boot.Fault) {
	for _, f := range faults {
		fmt.Fprintln(p.Stderr, p.redactor.Redact(f.String()))
		if f.Text != "" && f.TextColumn > 0 {
			fmt.Fprint(p.Stderr, caret(f))
		}
	}
}

// caret returns the line of a fault and a line that points at it.
func caret(f boot.Fault) string {
	text := []rune(strings.TrimRight(f.Text, "\r\n"))
	from := min(max(f.TextColumn-1, 0), len(text))
	to := min(max(f.TextEnd-1, from+1), max(len(text), from+1))
	var below strings.Builder
	for _, c := range text[:from] {
		if c == '\t' {
			below.WriteRune('\t')
			continue
		}
		below.WriteString(strings.Repeat(" ", columns(c)))
	}
	n := 0
	for i := from; i < to; i++ {
		if i < len(text) {
			n += columns(text[i])
		} else {
			n++
		}
	}
	return "  | " + string(text) + "\n  | " + below.String() + strings.Repeat("^", n) + "\n"
}

// columns is what a character takes on a terminal.
func columns(c rune) int {
	if c >= 0x1100 && c <= 0x115F || c >= 0x2E80 && c <= 0xA4CF || c >= 0xAC00 && c <= 0xD7A3 || c >= 0xF900 && c <= 0xFAFF || c >= 0xFE30 && c <= 0xFE6F || c >= 0xFF00 && c <= 0xFF60 || c >= 0x1F300 && c <= 0x1FAFF {
		return 2
	}
	return 1
}
