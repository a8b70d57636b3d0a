package boot

import (
	"archive/zip"
	"bufio"
	"encoding/binary"
	"io"
	"strings"
)

// connectors tells which of the wanted connectors a jar brings, without starting Java: the factories that a jar lists for Java's
// ServiceLoader name their connector in a string constant (factoryIdentifier returns it).
func connectors(jars, wanted []string) map[string]bool {
	there := map[string]bool{}
	for _, jar := range jars {
		if len(there) == len(wanted) {
			break
		}
		r, err := zip.OpenReader(jar)
		if err != nil {
			continue // Flink will say so
		}
		for _, class := range factories(&r.Reader) {
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

// factories lists the table factories of a jar.
func factories(r *zip.Reader) []string {
	f, err := r.Open("META-INF/services/org.apache.flink.table.factories.Factory")
	if err != nil {
		return nil
	}
	defer f.Close()
	var out []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
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
