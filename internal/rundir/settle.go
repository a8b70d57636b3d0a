package rundir

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"flink-entrypoint/internal/fetch"
	"flink-entrypoint/internal/phase"
)

// Settle decides between a file of the image and one of the definition at the same place of the run dir: the definition's
// wins, and the image's is not linked. A folder of plugins that the image has, and that an artifact is for, becomes a folder
// of links. Contents that exclude each other are an error, before anything is written. It returns the
// contents that are left.
func (c Contents) Settle(runDir string) (settled Contents, warnings []string, err error) {
	own := map[string]string{} // path to what is put there
	for _, a := range c.Artifacts {
		own[a.Path] = "the artifact " + fetch.Redact(a.URI)
	}
	for _, f := range c.Files {
		if what, taken := own[f.Path]; taken {
			return c, nil, phase.Fail(phase.Artifact, fmt.Errorf("%s has the name of a file that flink-entrypoint writes, %s", what, filepath.Base(f.Path)), "give it another name")
		}
		own[f.Path] = "a file of flink-entrypoint"
	}
	folders := map[string]bool{} // that must be folders: a file of this start is in them
	for path := range own {
		for dir := filepath.Dir(path); len(dir) > len(runDir); dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	for _, l := range c.Links {
		for dir := filepath.Dir(l.Path); len(dir) > len(runDir); dir = filepath.Dir(dir) {
			folders[dir] = true
		}
	}
	var links []Link
	seen := map[string]bool{}
	var add func(l Link) error
	add = func(l Link) error {
		what, taken := own[l.Path]
		switch {
		case taken:
			warnings = append(warnings, fmt.Sprintf("%s takes the place of the image's %s", what, l.Target))
			c.Replaced = append(c.Replaced, l)
			return nil
		case folders[l.Path]:
			c.Replaced = append(c.Replaced, l)
			entries, err := os.ReadDir(l.Target)
			if err != nil {
				return phase.Fail(phase.Artifact, fmt.Errorf("%s must be a folder for an artifact, but %s of the image is not a folder", l.Path, l.Target), "give the artifact another place")
			}
			for _, e := range entries {
				if err := add(Link{filepath.Join(l.Path, e.Name()), filepath.Join(l.Target, e.Name())}); err != nil {
					return err
				}
			}
			return nil
		case seen[l.Path]:
			return nil // ENABLE_BUILT_IN_PLUGINS names a plugin that the image has
		}
		for dir := filepath.Dir(l.Path); len(dir) > len(runDir); dir = filepath.Dir(dir) {
			if what, taken := own[dir]; taken {
				return phase.Fail(phase.Artifact, fmt.Errorf("%s has the name of a folder of the image, %s", what, filepath.Dir(l.Target)), "give it another name")
			}
		}
		seen[l.Path] = true
		links = append(links, l)
		return nil
	}
	for i := len(c.Links) - 1; i >= 0; i-- { // the last one wins, as it did when each was renamed over the one before
		if err := add(c.Links[i]); err != nil {
			return c, nil, err
		}
	}
	slices.Reverse(links)
	c.Links = links
	return c, warnings, nil
}
