package container

import (
	"archive/zip"
	"bufio"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// component is one of CycloneDX 1.5.
type component struct {
	Type    string `json:"type"`
	Group   string `json:"group,omitempty"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	PURL    string `json:"purl,omitempty"`
	Hashes  []hash `json:"hashes,omitempty"`
	// Where the component is in the image; parts of a jar share its place.
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Inventory writes what an image holds: PREFIX.files, one line a file, and PREFIX.cdx.json, a bill of materials of its
// jars (and the Maven artifacts shaded into them, by their pom.properties and by Flink's NOTICE), native libraries, Java runtime and Go modules. Both depend on the image alone.
func (p *Podman) Inventory(ctx context.Context, image, prefix string) error {
	root, err := p.Do(ctx, "image", "mount", image)
	if err != nil {
		return err
	}
	defer func() { _, _ = p.Do(context.WithoutCancel(ctx), "image", "unmount", image) }()
	var files strings.Builder
	var parts []component
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(file, root)
		fmt.Fprintf(&files, "%s %d %s\n", st.Mode(), st.Size(), name)
		if !st.Mode().IsRegular() {
			return nil
		}
		found, err := components(file, name)
		parts = append(parts, found...)
		return err
	})
	if err != nil {
		return err
	}
	bom, err := json.MarshalIndent(map[string]any{
		"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
		"metadata":   map[string]any{"component": component{Type: "container", Name: image}},
		"components": parts,
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(prefix+".files", []byte(files.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(prefix+".cdx.json", append(bom, '\n'), 0o644)
}

// components returns what a file of the image stands for; nothing for the mass of plain files.
func components(file, name string) ([]component, error) {
	base := path.Base(name)
	switch {
	case strings.HasSuffix(base, ".jar"):
		return jar(file, name)
	case strings.HasPrefix(name, "/usr/local/bin/"):
		bi, err := buildinfo.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		parts := []component{
			{Type: "application", Name: bi.Path, Version: bi.Main.Version, Properties: place(name)},
			{Type: "platform", Name: "go", Version: strings.TrimPrefix(bi.GoVersion, "go"), PURL: "pkg:golang/stdlib@" + strings.TrimPrefix(bi.GoVersion, "go"), Properties: place(name)},
		}
		for _, m := range bi.Deps {
			parts = append(parts, component{Type: "library", Name: m.Path, Version: m.Version, PURL: "pkg:golang/" + m.Path + "@" + m.Version, Properties: place(name)})
		}
		return parts, nil
	case name == "/opt/java/release":
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		return []component{{Type: "platform", Name: "java", Version: value(string(text), "JAVA_VERSION", "="), Properties: place(name)}}, nil
	case strings.Contains(base, ".so") && !strings.HasPrefix(name, "/opt/java/"):
		sum, err := digest(file)
		return []component{{Type: "library", Name: base, Hashes: sum, Properties: place(name)}}, err
	}
	return nil, nil
}

func place(name string) []property {
	return []property{{"flink-entrypoint:path", name}}
}

// jar returns the jar itself and the Maven artifacts in it: those whose coordinates are beside their classes, and those that META-INF/NOTICE
// names, one "- group:artifact:version" a line, because Flink's own jars come without coordinates of what was shaded into them.
func jar(file, name string) ([]component, error) {
	sum, err := digest(file)
	if err != nil {
		return nil, err
	}
	self := component{Type: "library", Name: path.Base(name), Hashes: sum, Properties: place(name)}
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer z.Close()
	var parts []component
	seen := map[string]bool{}
	add := func(group, artifact, version string) {
		c := component{Type: "library", Group: group, Name: artifact, Version: version, PURL: "pkg:maven/" + group + "/" + artifact + "@" + version, Properties: place(name)}
		if !seen[c.PURL] {
			seen[c.PURL] = true
			parts = append(parts, c)
		}
	}
	for _, f := range z.File {
		pom := strings.HasPrefix(f.Name, "META-INF/maven/") && path.Base(f.Name) == "pom.properties"
		if !pom && f.Name != "META-INF/NOTICE" && f.Name != "META-INF/MANIFEST.MF" {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(io.LimitReader(r, 1<<20))
		r.Close()
		if err != nil {
			return nil, err
		}
		switch text := string(b); {
		case pom:
			add(value(text, "groupId", "="), value(text, "artifactId", "="), value(text, "version", "="))
		case f.Name == "META-INF/NOTICE":
			for line := range strings.Lines(text) {
				if words := strings.Fields(line); len(words) > 1 && words[0] == "-" {
					// group:artifact:version, or with a packaging and a classifier before the version
					if c := strings.Split(words[1], ":"); len(c) >= 3 && c[len(c)-1] != "" {
						add(c[0], c[1], c[len(c)-1])
					}
				}
			}
		default:
			self.Version = value(text, "Implementation-Version", ":")
			if group := value(text, "Implementation-Vendor-Id", ":"); group != "" && self.Version != "" {
				if artifact, ok := strings.CutSuffix(path.Base(name), "-"+self.Version+".jar"); ok {
					self.Group, self.PURL = group, "pkg:maven/"+group+"/"+artifact+"@"+self.Version
				}
			}
		}
	}
	return append([]component{self}, parts...), nil
}

// value returns the value of a key in lines of "key SEPARATOR value".
func value(text, key, separator string) string {
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if k, v, ok := strings.Cut(lines.Text(), separator); ok && strings.TrimSpace(k) == key {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return ""
}

func digest(file string) ([]hash, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return []hash{{"SHA-256", hex.EncodeToString(h.Sum(nil))}}, nil
}
