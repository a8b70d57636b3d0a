package localrun

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"io"
	"strings"
)

// factoriesIn tells which of the wanted connectors, formats and providers of models a jar brings, without starting Java: the factories
// that a jar lists for Java's ServiceLoader name what they make in a string constant (factoryIdentifier returns it).
func factoriesIn(jars, wanted []string) map[string]bool {
	return identifiers(jars, wanted, "org.apache.flink.table.factories.Factory")
}

// absentCatalogs returns a function that tells whether no jar makes catalogs of a type. It remembers what it has found.
func absentCatalogs(jars []string) func(kind string) bool {
	known := map[string]bool{}
	return func(kind string) bool {
		absent, ok := known[kind]
		if !ok {
			// Iceberg's is a factory of the older kind.
			absent = !identifiers(jars, []string{kind}, "org.apache.flink.table.factories.Factory", "org.apache.flink.table.factories.TableFactory")[kind]
			known[kind] = absent
		}
		return absent
	}
}

// identifiers tells which of the wanted identifiers a factory of one of the services has.
func identifiers(jars, wanted []string, services ...string) map[string]bool {
	there := map[string]bool{}
	for _, jar := range jars {
		if len(there) == len(wanted) {
			break
		}
		r, err := zip.OpenReader(jar)
		if err != nil {
			continue // Flink will say so
		}
		for _, class := range factories(&r.Reader, services) {
			f, err := r.Open(strings.ReplaceAll(class, ".", "/") + ".class")
			if err != nil {
				continue
			}
			b, err := io.ReadAll(f)
			f.Close()
			if err != nil {
				continue
			}
			constants := stringConstants(b)
			for _, w := range wanted {
				if constants[w] {
					there[w] = true
				}
			}
		}
		r.Close()
	}
	return there
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
