package flinkrest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"flink-entrypoint/internal/platform/jobstate"
)

// maxArchived is how long one answer in an archive may be to be read, in bytes of its JSON. The archive may be longer: it is read as a stream.
const maxArchived = 16 << 20

// Archived is one answer out of an archive of FsJobArchivist: {"archive": [{"path": "/jobs/overview", "json": "{…}"}, …]}. What follows it
// is not read.
func Archived(archive io.Reader, path string) ([]byte, error) {
	answers, err := archived(archive, true, path)
	if err == nil && answers[path] == nil {
		err = fmt.Errorf("the archive has no %s, or one longer than %d bytes", path, maxArchived)
	}
	return answers[path], err
}

// EndOf reads how a job ended from its archive, with the newest completed savepoint below a directory. A job that is not in the archive, or
// has not ended in it, is an error; and so is an archive that is not whole.
func EndOf(archive io.Reader, job, savepoints string) (jobstate.Archived, error) {
	const overview = "/jobs/overview"
	exceptions, checkpoints := "/jobs/"+job+"/exceptions", "/jobs/"+job+"/checkpoints"
	answers, err := archived(archive, false, overview, exceptions, checkpoints)
	if err != nil {
		return jobstate.Archived{}, err
	}
	if answers[overview] == nil {
		return jobstate.Archived{}, fmt.Errorf("the archive has no %s, or one longer than %d bytes", overview, maxArchived)
	}
	var o struct{ Jobs []Job }
	if err := json.Unmarshal(answers[overview], &o); err != nil {
		return jobstate.Archived{}, err
	}
	for _, j := range o.Jobs {
		if j.ID != job {
			continue
		}
		if !j.State.Terminal() {
			return jobstate.Archived{}, fmt.Errorf("the archive says that job %s is %s", job, j.State)
		}
		end := jobstate.Archived{JobID: job, Status: j.State}
		if x := answers[exceptions]; x != nil && j.State == jobstate.StFailed {
			if all, err := ExceptionsOf(x); err == nil && len(all) > 0 {
				end.Cause = Cause(all[0].Text)
			}
		}
		if c := answers[checkpoints]; c != nil {
			if all, err := CheckpointsOf(c); err == nil {
				end.Savepoint = all.SavepointIn(savepoints)
			}
		}
		return end, nil
	}
	return jobstate.Archived{}, fmt.Errorf("the archive has no job %s", job)
}

// archived are the answers at some paths. One that is longer than maxArchived is left out. early: the rest is not read after the last of them.
func archived(archive io.Reader, early bool, paths ...string) (map[string][]byte, error) {
	s := &archiveScanner{in: bufio.NewReaderSize(archive, 64<<10)}
	answers := map[string][]byte{}
	err := s.object(func(key string) error {
		if key != "archive" {
			return s.skip()
		}
		return s.array(func() error {
			path, answer, err := s.entry(paths)
			if err == nil && answer != nil && slices.Contains(paths, path) && answers[path] == nil {
				answers[path] = answer
			}
			if err == nil && early && len(answers) == len(paths) {
				err = errFound
			}
			return err
		})
	})
	if err == errFound {
		return answers, nil
	}
	if err == nil {
		if _, more := s.next(); more != io.EOF {
			err = errors.New("something follows its end")
		}
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("not an archive of a JobManager: %w", err)
	}
	return answers, nil
}

var errFound = errors.New("found")

// An archiveScanner reads the JSON of an archive. encoding/json holds each value as a whole, and the JSON of a large job is one text of many
// MiB; here only texts that are wanted are held.
type archiveScanner struct {
	in  *bufio.Reader
	raw []byte // the text that was read last, escaped and in quotes
}

// next is the next byte that is not a blank.
func (s *archiveScanner) next() (byte, error) {
	for {
		c, err := s.in.ReadByte()
		if err != nil || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, err
		}
	}
}

func (s *archiveScanner) expect(want byte) error {
	c, err := s.next()
	if err == nil && c != want {
		err = fmt.Errorf("it has %q where %q was expected", c, want)
	}
	return err
}

// list reads what is between two brackets, after the first one.
func (s *archiveScanner) list(end byte, item func() error) error {
	c, err := s.next()
	if err != nil || c == end {
		return err
	}
	if err := s.in.UnreadByte(); err != nil {
		return err
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if c, err = s.next(); err != nil || c == end {
			return err
		}
		if c != ',' {
			return fmt.Errorf("it has %q where a comma or %q was expected", c, end)
		}
	}
}

func (s *archiveScanner) object(member func(key string) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	return s.list('}', func() error {
		if err := s.expect('"'); err != nil {
			return err
		}
		key, _, err := s.text(1 << 10)
		if err == nil {
			err = s.expect(':')
		}
		if err != nil {
			return err
		}
		return member(key)
	})
}

func (s *archiveScanner) array(item func() error) error {
	if err := s.expect('['); err != nil {
		return err
	}
	return s.list(']', item)
}

// entry reads {"path": …, "json": …}. answer nil: its path is not wanted, or it is too long.
func (s *archiveScanner) entry(wanted []string) (path string, answer []byte, err error) {
	known := false
	err = s.object(func(key string) error {
		if key != "path" && key != "json" {
			return s.skip()
		}
		if err := s.expect('"'); err != nil {
			return err
		}
		if key == "path" {
			known = true
			path, _, err = s.text(64 << 10)
			return err
		}
		limit := maxArchived
		if known && !slices.Contains(wanted, path) {
			limit = 0
		}
		text, whole, err := s.text(limit)
		if whole {
			answer = []byte(text)
		}
		return err
	})
	return path, answer, err
}

// text reads a text after its first quote. whole false: it is longer than limit, or limit is 0, and none of it is returned.
func (s *archiveScanner) text(limit int) (text string, whole bool, err error) {
	s.raw = append(s.raw[:0], '"')
	if cap(s.raw) > 1<<20 && limit < cap(s.raw) {
		s.raw = []byte{'"'} // a long one is not held until the end
	}
	whole = limit > 0
	keep := func(b ...byte) {
		if whole = whole && len(s.raw)+len(b) <= limit+1; whole {
			s.raw = append(s.raw, b...)
		}
	}
	for {
		if _, err := s.in.Peek(1); err != nil {
			return "", false, err
		}
		ready, _ := s.in.Peek(s.in.Buffered())
		n := 0
		for n < len(ready) && ready[n] != '"' && ready[n] != '\\' && ready[n] >= ' ' {
			n++
		}
		keep(ready[:n]...)
		if _, err := s.in.Discard(n); err != nil {
			return "", false, err
		}
		if n == len(ready) {
			continue
		}
		c, _ := s.in.ReadByte()
		switch c {
		case '"':
			if !whole {
				return "", false, nil
			}
			err := json.Unmarshal(append(s.raw, c), &text)
			return text, err == nil, err
		case '\\':
			escaped, err := s.in.ReadByte()
			if err != nil {
				return "", false, err
			}
			keep(c, escaped)
		default:
			return "", false, fmt.Errorf("it has a control character %q in a text", c)
		}
	}
}

// skip reads over a value.
func (s *archiveScanner) skip() error {
	for depth := 0; ; {
		c, err := s.next()
		if err != nil {
			return err
		}
		switch c {
		case '"':
			_, _, err = s.text(0)
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ':':
			continue
		default:
			err = s.word(c)
		}
		if err != nil || depth == 0 {
			return err
		}
		if depth < 0 {
			return fmt.Errorf("it has %q where a value was expected", c)
		}
	}
}

// word reads over a number, true, false or null.
func (s *archiveScanner) word(first byte) error {
	word := []byte{first}
	for {
		c, err := s.in.ReadByte()
		if err == nil && (c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == 'E' || c == '+' || c == '-' || c == '.') && len(word) < 400 {
			word = append(word, c)
			continue
		}
		if err == nil {
			err = s.in.UnreadByte()
		}
		if err == nil && !json.Valid(word) {
			err = errors.New("it has " + strconv.Quote(string(word)) + " where a value was expected")
		}
		return err
	}
}

// Recorded reads an entry of the job result store of high availability (FileSystemJobResultStore, 1.15 and later).
func Recorded(entry []byte, job string) (jobstate.Status, error) {
	var o struct {
		Result struct {
			ID     string
			Status string `json:"application-status"`
		}
	}
	if err := json.Unmarshal(entry, &o); err != nil {
		return "", fmt.Errorf("not an entry of a job result store: %w", err)
	}
	status := map[string]jobstate.Status{"SUCCEEDED": jobstate.StFinished, "FAILED": jobstate.StFailed, "CANCELED": jobstate.StCanceled}[o.Result.Status]
	if o.Result.ID != job || status == "" {
		return "", fmt.Errorf("the entry of the job result store says that job %q is %q, expected job %s with SUCCEEDED, FAILED or CANCELED", o.Result.ID, o.Result.Status, job)
	}
	return status, nil
}
