package api

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"flink-entrypoint/internal/platform/store"
	"flink-entrypoint/internal/platform/wire"
)

func catalogOf(c store.Catalog) wire.Catalog {
	return wire.Catalog{Name: c.Name, Revision: c.Revision, Statement: c.Statement, Changed: c.Changed, By: c.By}
}

// listCatalogs: GET /v1/catalogs?after=NAME&limit=&jobs=
func (a *API) listCatalogs(w http.ResponseWriter, r *http.Request) error {
	n, err := limit(r)
	if err != nil {
		return err
	}
	all, err := a.Store.Catalogs(r.Context(), who(r).team, r.URL.Query().Get("after"), n)
	if err != nil {
		return err
	}
	uses := map[string][]store.Use{}
	if r.URL.Query().Get("jobs") == "true" {
		if uses, err = a.Store.Uses(r.Context(), who(r).team); err != nil {
			return err
		}
	}
	catalogs := make([]wire.Catalog, len(all))
	for i, c := range all {
		catalogs[i] = catalogOf(c)
		catalogs[i].Jobs = usedBy(uses[c.Name])
	}
	return answer(w, http.StatusOK, map[string]any{"catalogs": catalogs})
}

// getCatalog also names the jobs that have it, and at which revision: after a change, those that run an older one.
func (a *API) getCatalog(w http.ResponseWriter, r *http.Request) error {
	name, team := r.PathValue("name"), who(r).team
	c, err := a.Store.Catalog(r.Context(), team, name)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("catalog", name)
	}
	if err != nil {
		return err
	}
	out := catalogOf(c)
	uses, err := a.Store.UsesOf(r.Context(), team, name)
	if err != nil {
		return err
	}
	out.Jobs = usedBy(uses)
	w.Header().Set("ETag", revisionTag(c.Revision))
	return answer(w, http.StatusOK, out)
}

func usedBy(uses []store.Use) (out []wire.UsedBy) {
	for _, u := range uses {
		out = append(out, wire.UsedBy(u))
	}
	return out
}

func revisionTag(n int) string { return `"r` + strconv.Itoa(n) + `"` }

func (a *API) putCatalog(w http.ResponseWriter, r *http.Request) error {
	c, name := who(r), r.PathValue("name")
	if !nameForm.MatchString(name) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("%q is not a name of a catalog here", name), "small letters, digits and hyphens, at most 63")
	}
	var in struct {
		Statement string `json:"statement"`
	}
	if err := read(w, r, &in); err != nil {
		return err
	}
	seen, err := ifMatch(r, "r")
	if err != nil {
		return err
	}
	if len(in.Statement) > maxStatement {
		return refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the statement is longer than %d bytes", maxStatement), "")
	}
	if faults := a.CheckCatalog(name, in.Statement); len(faults) > 0 {
		return faults
	}
	made, err := a.Store.PutCatalog(r.Context(), store.Catalog{Name: name, Team: c.team, Statement: in.Statement, By: c.name}, seen)
	if errors.Is(err, store.ErrConflict) {
		return refuse(http.StatusPreconditionFailed, "the catalog was changed by another user", "read it again, and decide whether your change still fits")
	}
	if err != nil {
		return err
	}
	w.Header().Set("ETag", revisionTag(made.Revision))
	return answer(w, http.StatusOK, catalogOf(made))
}

func (a *API) deleteCatalog(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	err := a.Store.DeleteCatalog(r.Context(), who(r).team, name)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("catalog", name)
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func artifactOf(a store.Artifact) wire.Artifact {
	return wire.Artifact{Name: a.Name, Digest: a.Digest, Size: a.Size, Created: a.Created, By: a.By}
}

// listArtifacts: GET /v1/artifacts?after=NAME&limit=
func (a *API) listArtifacts(w http.ResponseWriter, r *http.Request) error {
	n, err := limit(r)
	if err != nil {
		return err
	}
	all, err := a.Store.Artifacts(r.Context(), who(r).team, r.URL.Query().Get("after"), n)
	if err != nil {
		return err
	}
	artifacts := make([]wire.Artifact, len(all))
	for i, x := range all {
		artifacts[i] = artifactOf(x)
	}
	return answer(w, http.StatusOK, map[string]any{"artifacts": artifacts})
}

func (a *API) getArtifact(w http.ResponseWriter, r *http.Request) error {
	c, name := who(r), r.PathValue("name")
	if c.run != "" { // the pods of a run read what its version names, nothing else of the team
		run, err := a.Store.Run(r.Context(), c.run)
		if err != nil {
			return err
		}
		names, err := a.Store.Names(r.Context(), c.team, run.Job, run.Version, name)
		if err != nil {
			return err
		}
		if !names {
			return notFound("artifact", name)
		}
	}
	x, content, err := a.Store.OpenArtifact(r.Context(), c.team, name)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("artifact", name)
	}
	if err != nil {
		return err
	}
	defer content.Close()
	sum, _ := hex.DecodeString(x.Digest)
	h := w.Header()
	h.Set("ETag", `"`+x.Digest[:32]+`"`)
	h.Set("Cache-Control", "private, immutable")
	h.Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":")
	h.Set("Content-Type", "application/octet-stream")
	if strings.HasSuffix(name, ".jar") {
		h.Set("Content-Type", "application/java-archive")
	}
	http.ServeContent(w, r, "", time.Time{}, content)
	return nil
}

// putArtifact: PUT /v1/artifacts/NAME, ?sha256=HEX. A name's content never changes.
func (a *API) putArtifact(w http.ResponseWriter, r *http.Request) error {
	c, name := who(r), r.PathValue("name")
	if !artifactForm.MatchString(name) {
		return refuse(http.StatusBadRequest, fmt.Sprintf("%q is not a name of an artifact", name), "letters, digits, hyphens, dots and underscores, at most 200")
	}
	leave, err := a.uploading(w, r)
	if err != nil {
		return err
	}
	defer leave()
	// A large body takes longer than the server waits otherwise.
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Hour))
	x, err := a.Store.PutArtifact(r.Context(), store.Artifact{Name: name, Team: c.team, By: c.name}, http.MaxBytesReader(w, r.Body, a.Limits.Artifact), r.URL.Query().Get("sha256"), a.Limits.Stored)
	switch {
	case errors.Is(err, store.ErrExists):
		return refuse(http.StatusConflict, fmt.Sprintf("the artifact %s exists with another content", name), "publish another version under another name")
	case errors.Is(err, store.ErrQuota):
		return refuse(http.StatusInsufficientStorage, err.Error(), "delete artifacts that no version names, or ask an operator for more (--max-stored)")
	case errors.Is(err, store.ErrDigest):
		return refuse(http.StatusUnprocessableEntity, err.Error(), "")
	case err != nil:
		return err
	}
	return answer(w, http.StatusCreated, artifactOf(x))
}

func (a *API) deleteArtifact(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	err := a.Store.DeleteArtifact(r.Context(), who(r).team, name)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return notFound("artifact", name)
	case errors.Is(err, store.ErrInUse):
		return refuse(http.StatusConflict, fmt.Sprintf("a version of a job names the artifact %s", name), "delete the job first")
	case err != nil:
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// listTokens: GET /v1/tokens?after=NAME&limit=
func (a *API) listTokens(w http.ResponseWriter, r *http.Request) error {
	n, err := limit(r)
	if err != nil {
		return err
	}
	all, err := a.Store.Tokens(r.Context(), who(r).team, r.URL.Query().Get("after"), n)
	if err != nil {
		return err
	}
	tokens := make([]wire.Token, len(all))
	for i, t := range all {
		tokens[i] = tokenOf(t)
	}
	return answer(w, http.StatusOK, map[string]any{"tokens": tokens})
}

func tokenOf(t store.Token) wire.Token {
	out := wire.Token{Name: t.Name, Role: string(t.Role), Team: t.Team, Created: t.Created}
	if !t.Expires.IsZero() {
		out.Expires = &t.Expires
	}
	return out
}

// TokenFault says what is wrong with a token of a user; "": nothing. The name of its team is a part of names and labels of Kubernetes.
func TokenFault(name string, role store.Role, team string) (fault, hint string) {
	switch {
	case !nameForm.MatchString(name):
		return fmt.Sprintf("%q is not a name of a token", name), "small letters, digits and hyphens, at most 63"
	case !nameForm.MatchString(team):
		return fmt.Sprintf("%q is not a name of a team", team), "small letters, digits and hyphens, at most 63"
	case role != store.RoleView && role != store.RoleEdit && role != store.RoleAdmin:
		return fmt.Sprintf("unknown role %q", role), "view, edit or admin"
	}
	return "", ""
}

func (a *API) makeToken(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Name    string     `json:"name"`
		Role    string     `json:"role"`
		Expires *time.Time `json:"expires"`
	}
	if err := read(w, r, &in); err != nil {
		return err
	}
	t := store.Token{Name: in.Name, Role: store.Role(in.Role), Team: who(r).team}
	if in.Expires != nil {
		t.Expires = *in.Expires
	}
	if fault, hint := TokenFault(t.Name, t.Role, t.Team); fault != "" {
		return refuse(http.StatusBadRequest, fault, hint)
	}
	secret, err := a.Store.MakeToken(r.Context(), t)
	if errors.Is(err, store.ErrExists) {
		return refuse(http.StatusConflict, fmt.Sprintf("there is a token %s", t.Name), "delete it, or choose another name")
	}
	if err != nil {
		return err
	}
	t.Created, err = a.Store.Now(r.Context())
	out := tokenOf(t)
	out.Secret = secret
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, out)
}

func (a *API) deleteToken(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	err := a.Store.DeleteToken(r.Context(), who(r).team, name)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("token", name)
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}
