package boot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"flink-entrypoint/internal/confpatch"
	"flink-entrypoint/internal/flinkoptions"
	"flink-entrypoint/internal/phase"
	"flink-entrypoint/internal/settings"
)

// base is the configuration that Flink has in force before this start.
type base struct {
	path       string // "" without a file
	name       string // of the file, and of the rendered one
	format     confpatch.Format
	source     []byte // content of the file
	file       *confpatch.File
	layers     *settings.Layers // with nothing above the file yet
	controller bool             // a controller wrote the file
	conversion *flinkoptions.Conversion
}

// readBase reads it.
func (r *Run) readBase(g ground) (base, error) {
	v, dir := g.home.Version, g.places.BaseDir
	name, format, ok := confpatch.InForceIn(dir, v)
	b := base{name: name, format: format}
	var err error
	if ok {
		b.path = filepath.Join(dir, name)
		if b.source, err = confpatch.ReadBase(dir, name, format, v, g.places.inPlace()); err != nil {
			return b, phase.Fail(phase.Configuration, fmt.Errorf("cannot read the configuration: %w", err), "")
		}
	}
	if b.file, err = confpatch.Parse(name, format, v, b.source); err != nil {
		return b, configurationError(b.path, err)
	}
	if ok {
		raw, err := os.ReadFile(b.path)
		b.controller = b.file.ByController(raw) && err == nil
	}
	for _, w := range b.file.Warnings() {
		r.Warn("%s", w)
	}
	b.layers = settings.New(b.file.Conf())
	r.world.Redactor.AddConf(b.layers.Base)
	b.layers.UnquoteBase()
	warning, conversion := flinkoptions.Unread(v, dir, name, b.layers.Base, r.world.Redactor)
	if b.conversion = conversion; warning != "" {
		r.Warn("%s", warning)
	}
	return b, nil
}

func configurationError(file string, err error) error {
	var syntax *confpatch.SyntaxError
	if errors.As(err, &syntax) {
		hint := syntax.Hint()
		if hint == "" {
			hint = "correct " + file
		}
		return phase.Fail(phase.Configuration, fmt.Errorf("Flink rejects the configuration: %w", err), hint)
	}
	return phase.Fail(phase.Configuration, err, "")
}
