package localrun

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"time"
)

// factoryIndex remembers what the factories of jars name, for a server that asks again and again: opening the jars takes longer than the
// planner does. nil remembers nothing.
type factoryIndex struct {
	mu   sync.Mutex
	jars map[indexedJar]map[string]bool
}

// indexedJar is a jar as it is now, and the services whose factories are asked for.
type indexedJar struct {
	path     string
	size     int64
	changed  time.Time
	services string
}

// constants returns the string constants of the factories of a jar.
func (x *factoryIndex) constants(jar string, services []string) map[string]bool {
	if x == nil {
		return constantsOf(jar, services)
	}
	st, err := os.Stat(jar)
	if err != nil {
		return nil // Flink will say so
	}
	key := indexedJar{jar, st.Size(), st.ModTime(), strings.Join(services, " ")}
	x.mu.Lock()
	defer x.mu.Unlock()
	known, ok := x.jars[key]
	if !ok {
		if x.jars == nil {
			x.jars = map[indexedJar]map[string]bool{}
		}
		known = constantsOf(jar, services)
		x.jars[key] = known
	}
	return known
}

// factoriesIn tells which of the wanted connectors, formats and providers of models a jar brings, without starting Java: the factories
// that a jar lists for Java's ServiceLoader name what they make in a string constant (factoryIdentifier returns it).
func (x *factoryIndex) factoriesIn(jars, wanted []string) map[string]bool {
	return x.identifiers(jars, wanted, "org.apache.flink.table.factories.Factory")
}

// absentCatalogs returns a function that tells whether no jar makes catalogs of a type. It remembers what it has found.
func (x *factoryIndex) absentCatalogs(jars []string) func(kind string) bool {
	known := map[string]bool{}
	return func(kind string) bool {
		absent, ok := known[kind]
		if !ok {
			// Iceberg's is a factory of the older kind.
			absent = !x.identifiers(jars, []string{kind}, "org.apache.flink.table.factories.Factory", "org.apache.flink.table.factories.TableFactory")[kind]
			known[kind] = absent
		}
		return absent
	}
}

// identifiers tells which of the wanted identifiers a factory of one of the services has.
func (x *factoryIndex) identifiers(jars, wanted []string, services ...string) map[string]bool {
	there := map[string]bool{}
	for _, jar := range jars {
		if len(there) == len(wanted) {
			break
		}
		constants := x.constants(jar, services)
		for _, w := range wanted {
			if constants[w] {
				there[w] = true
			}
		}
	}
	return there
}

// constantsOf reads the string constants of the factories of a jar.
func constantsOf(jar string, services []string) map[string]bool {
	all := map[string]bool{}
	r, err := zip.OpenReader(jar)
	if err != nil {
		return all // Flink will say so
	}
	defer r.Close()
	for _, class := range factories(&r.Reader, services) {
		f, err := r.Open(strings.ReplaceAll(class, ".", "/") + ".class")
		if err != nil {
			continue
		}
		b, err := io.ReadAll(f)
		f.Close()
		if err == nil {
			maps.Copy(all, stringConstants(b))
		}
	}
	return all
}

// factories lists what a jar has for the services.
func factories(r *zip.Reader, services []string) []string {
	var out []string
	for _, service := range services {
		f, err := r.Open("META-INF/services/" + service)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			line, _, _ := strings.Cut(lines.Text(), "#")
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, line)
			}
		}
		f.Close()
	}
	return out
}

// stringConstants reads the UTF-8 entries of a class file's constant pool (JVM specification 4.4).
func stringConstants(b []byte) map[string]bool {
	out := map[string]bool{}
	if len(b) < 10 || binary.BigEndian.Uint32(b) != 0xCAFEBABE {
		return out
	}
	count := int(binary.BigEndian.Uint16(b[8:]))
	for i, at := 1, 10; i < count && at+3 <= len(b); i++ {
		switch tag := b[at]; tag {
		case 1: // Utf8
			n := int(binary.BigEndian.Uint16(b[at+1:]))
			if at += 3; at+n > len(b) {
				return out
			}
			out[string(b[at:at+n])] = true
			at += n
		case 7, 8, 16, 19, 20: // Class, String, MethodType, Module, Package
			at += 3
		case 15: // MethodHandle
			at += 4
		case 5, 6: // Long and Double take two entries
			at += 9
			i++
		default:
			at += 5
		}
	}
	return out
}
