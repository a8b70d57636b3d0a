package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"flink-entrypoint/internal/platform/store"
)

const (
	keyLease = 30 * time.Second       // of the key of a request that is being done, where Lease does not say another
	askAgain = 100 * time.Millisecond // whether another server has given its answer
)

// once answers a request that has an Idempotency-Key as it was answered before. Requests with the same key that come at the same time wait for the first
// one, on whichever server it is, and get its answer. One that was refused has no answer: the next one is done. do gets the ID of the reservation of its
// key, which it stores with what it does, so that this is done once even if the server dies before it has answered; without a key it is empty.
func (a *API) once(w http.ResponseWriter, r *http.Request, request []byte, do func(reservation string) (int, any, error)) error {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		status, out, err := do("")
		if err != nil {
			return err
		}
		return answer(w, status, out)
	}
	if len(key) > 200 {
		return refuse(http.StatusBadRequest, "the Idempotency-Key is longer than 200 bytes", "")
	}
	sum := sha256.Sum256(request)
	k := keyed{caller: who(r).team + "/" + who(r).name, key: key, digest: hex.EncodeToString(sum[:])}
	leave, err := a.keys.enter(r.Context(), k.caller+"\n"+key)
	if err != nil {
		return err
	}
	defer leave()
	for {
		before, reservation, err := a.Store.ReserveKey(r.Context(), k.caller, key, k.digest, a.Owner, a.lease())
		switch {
		case err != nil:
			return err
		case before != nil && before.Request != k.digest, before == nil && reservation.Request != k.digest:
			return refuse(http.StatusUnprocessableEntity, "the Idempotency-Key was used for another request", "a key is for one request and its repetitions")
		case before != nil:
			k.answer(w, *before)
			return nil
		case reservation.Mine:
			return a.first(w, r, k, reservation.ID, do)
		}
		select {
		case <-r.Context().Done():
			return r.Context().Err()
		case <-time.After(askAgain):
		}
	}
}

// A keyed is a request with an Idempotency-Key.
type keyed struct{ caller, key, digest string }

func (k keyed) answer(w http.ResponseWriter, a store.Answer) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.Status)
	w.Write(a.Body)
}

// first does what a request asks for whose key is reserved for it.
func (a *API) first(w http.ResponseWriter, r *http.Request, k keyed, reservation string, do func(string) (int, any, error)) error {
	a.at("a key is reserved")
	always := context.WithoutCancel(r.Context()) // the client may go away
	end := a.renew(always, k)
	answered, nothing := false, false
	defer func() { // also of a panic
		end()
		var err error
		switch {
		case answered:
		case nothing: // was done
			err = a.Store.ReleaseKey(always, k.caller, k.key, a.Owner)
		default: // a repetition must find the same reservation, at once
			err = a.Store.RenewKey(always, k.caller, k.key, a.Owner, 0)
		}
		if err != nil {
			a.Log.Warn("a key is not given up: a repetition of its request waits for the end of its lease", "error", err)
		}
	}()
	kept, err := a.Store.AnswersOf(r.Context(), k.caller, a.Limits.Answers)
	if err != nil {
		return err
	}
	if kept >= a.Limits.Answers {
		nothing = true
		return tooMany(w, time.Hour, fmt.Sprintf("%d answers to requests with an Idempotency-Key are kept for %s, which is the limit", kept, who(r).name))
	}
	status, out, err := do(reservation)
	if err != nil {
		nothing = refused(err)
		return err
	}
	a.at("a request with a key is done")
	var b bytes.Buffer
	answer(&recorder{header: w.Header(), body: &b}, status, out)
	given, err := a.Store.KeepAnswer(always, k.caller, k.key, store.Answer{Request: k.digest, Status: status, Body: b.Bytes()})
	if answered = err == nil; answered {
		k.answer(w, given)
	}
	return err
}

// refused reports whether an error says that nothing was done. Of another one, such as a database that went away, that is not known.
func refused(err error) bool {
	_, refusal := errors.AsType[*problem](err)
	_, faults := errors.AsType[Faults](err)
	return refusal || faults
}

func (a *API) lease() time.Duration {
	if a.Lease > 0 {
		return a.Lease
	}
	return keyLease
}

func (a *API) at(place string) {
	if a.Point != nil {
		a.Point(place)
	}
}

// renew lengthens the lease of a key until the function that it returns is called.
func (a *API) renew(ctx context.Context, k keyed) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var renews sync.WaitGroup
	renews.Go(func() {
		each := time.NewTicker(a.lease() / 3)
		defer each.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-each.C:
				if err := a.Store.RenewKey(ctx, k.caller, k.key, a.Owner, a.lease()); err != nil && ctx.Err() == nil {
					a.Log.Warn("the lease of a key is not renewed", "error", err)
				}
			}
		}
	})
	return func() {
		cancel()
		renews.Wait()
	}
}

// keys are those of requests that are being done here. Of each, one is inside.
type keys struct {
	mu sync.Mutex
	of map[string]*inside
}

type inside struct {
	free    chan struct{}
	waiting int // and the one inside
}

// enter waits until no other request has the key.
func (k *keys) enter(ctx context.Context, key string) (leave func(), err error) {
	k.mu.Lock()
	if k.of == nil {
		k.of = map[string]*inside{}
	}
	i := k.of[key]
	if i == nil {
		i = &inside{free: make(chan struct{}, 1)}
		i.free <- struct{}{}
		k.of[key] = i
	}
	i.waiting++
	k.mu.Unlock()
	gone := func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if i.waiting--; i.waiting == 0 {
			delete(k.of, key)
		}
	}
	select {
	case <-i.free:
		return func() {
			i.free <- struct{}{}
			gone()
		}, nil
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}

type recorder struct {
	header http.Header
	body   *bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
func (r *recorder) WriteHeader(int)             {}
