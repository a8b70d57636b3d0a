package flinkrest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// A Submission is a job for a session cluster.
type Submission struct {
	JobID     string // 32 hexadecimal digits, chosen and stored before the first try
	JarName   string // names the content: a jar of this name that the cluster has already is not sent again
	Jar       Jar
	MainClass string // empty: the jar's manifest names it
	Arguments []string
	// Configuration is what the main method finds in its environment. Flink has the field (flinkConfiguration) from 1.17 on.
	Configuration map[string]string
	Savepoint     string // to start from; empty: without state
	AllowLost     bool   // state of the savepoint that the job has no place for is left out

	// First: no other try of this submission can be on its way.
	First bool

	// Point, if not nil, is called at each place where a crash must do no harm. Tests kill the process there.
	Point func(place string)
}

func (s *Submission) at(place string) {
	if s.Point != nil {
		s.Point(place)
	}
}

// A Jar opens a jar, and says how long it is.
type Jar func() (io.ReadCloser, int64, error)

// Bytes is a jar in memory.
func Bytes(content []byte) Jar {
	return func() (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
	}
}

// A Late is what the main method threw after the cluster had taken its job, which goes on: a second job in the same main method, for example, which
// Flink refuses (StreamContextEnvironment: "Cannot have more than one execute() or executeAsync() call").
type Late struct{ Cause string }

// A Rejected is a submission that the cluster's program refused: trying it again gives the same answer.
type Rejected struct{ Err error }

// Error is what the program said.
func (r *Rejected) Error() string { return r.Err.Error() }

// Unwrap returns the cause.
func (r *Rejected) Unwrap() error { return r.Err }

// Submit brings a job to a session cluster, however often it is called: the job id is looked for first, and again after an error, since an
// answer can be lost after the cluster took the job. Without an error the cluster has the job; late, if not nil, is what became of its main method
// then. Any error but a [*Rejected] leaves open whether it will have it; the caller tries again.
func (c *Client) Submit(ctx context.Context, base string, s Submission) (late *Late, err error) {
	have, err := c.Has(ctx, base, s.JobID)
	if err != nil || have {
		return nil, err
	}
	s.at("job looked for")
	jar, err := c.jar(ctx, base, s.JarName, s.Jar)
	if err != nil {
		return nil, fmt.Errorf("upload of %s: %w", s.JarName, err)
	}
	s.at("jar uploaded")
	failed := c.RunJar(ctx, base, jar, s.JobID, s.MainClass, s.Arguments, s.Savepoint, s.AllowLost, s.Configuration)
	s.at("jar run")
	if failed == nil {
		return nil, nil
	}
	if have, err = c.Has(ctx, base, s.JobID); err != nil {
		return nil, err
	}
	e, ok := errors.AsType[*Error](failed)
	threw := ok && e.Status == http.StatusBadRequest // JarRunHandler: the main method threw
	duplicate := threw && strings.Contains(e.Cause, "DuplicateJobSubmissionException")
	switch {
	case have && duplicate && s.First: // each job of a main method has the one id; most Flinks take it for the first one, without an error
		return &Late{"it starts a second job, and Flink starts one from one request: " + e.Cause}, nil
	case have && threw && !duplicate: // a duplicate says that another try, whose answer was lost, came through
		return &Late{cmp.Or(e.Cause, e.Text)}, nil
	case have:
		return nil, nil
	case threw && e.Cause != "":
		return nil, &Rejected{errors.New(e.Cause)}
	case threw:
		return nil, &Rejected{e}
	}
	return nil, failed
}

// Has reports whether a JobManager knows a job, in whatever status.
func (c *Client) Has(ctx context.Context, base, job string) (bool, error) {
	jobs, err := c.Jobs(ctx, base) // a 404 of /jobs/ID can come from anything, a list without the job only from a JobManager
	for _, j := range jobs {
		if j.ID == job {
			return true, nil
		}
	}
	return false, err
}

// jar is the id of the uploaded jar of this name. A cluster that does not have it gets it.
func (c *Client) jar(ctx context.Context, base, name string, content Jar) (string, error) {
	one, _ := c.uploading.LoadOrStore(base, new(sync.Mutex)) // two jobs of a new cluster would both send it
	one.(*sync.Mutex).Lock()
	defer one.(*sync.Mutex).Unlock()
	var o struct{ Files *[]struct{ ID, Name string } }
	if err := c.do(ctx, http.MethodGet, base, "/jars", nil, &o); err != nil {
		return "", err
	}
	if o.Files == nil {
		return "", errors.New("the answer has no list of jars: not a JobManager")
	}
	for _, f := range *o.Files {
		if f.Name == name && f.ID == url.PathEscape(f.ID) {
			return f.ID, nil
		}
	}
	return c.UploadJar(ctx, base, name, content)
}
