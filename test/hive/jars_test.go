//go:build hive

package hive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"flink-entrypoint/test/flinkhome/homes"
)

// jar is one file of a Maven repository, by its coordinates group:artifact:version, and its digest.
type jar struct{ coordinates, sha256 string }

// clientJars go into Flink's lib. The metastore is in the connector too.
var clientJars = []jar{
	{"org.apache.flink:flink-sql-connector-hive-2.3.10_2.12:1.20.0", "1985baabcc81bcc41d940c47a486451e3d2da32e43f0c5e06282f5ce7acc2913"},
	{"org.apache.hadoop:hadoop-client-api:3.3.6", "f3d2347a6e1c6885d5bcfd4f60c3ac3810ec11068fc161e04329baabf412d963"},
	{"org.apache.hadoop:hadoop-client-runtime:3.3.6", "15f01bc804294df06d2effc87de363a83cf589f50558bdbf48f72541ad8de854"},
	{"commons-logging:commons-logging:1.2", "daddea1ea0be0f56978ab3006b8ac92834afeefbd9b7e4e6316fca57df0fa636"},
	// Hive's functions fail without it.
	{"commons-codec:commons-codec:1.15", "b3e9f6d63a790109bf0d056611fbed1cf69055826defeb9894a71369d246ed63"},
}

// metastoreJars are what the metastore needs beside the client's: its database, and how objects get into it.
var metastoreJars = []jar{
	{"org.datanucleus:javax.jdo:3.2.0-m3", "b0e338881376e4588f7564ae2dcc91737148e7c950873f6b0b899cbf0feef80b"},
	{"org.datanucleus:datanucleus-api-jdo:4.2.4", "f30f1f09658329190811468e58a622f069d97a7284d67a88b8d01c809ab3d1f3"},
	{"org.datanucleus:datanucleus-core:4.1.17", "adb64b5ec1837821e289fc82b04c13f6b5a2f1c68a24628bcec6a7c43b5f5bca"},
	{"org.datanucleus:datanucleus-rdbms:4.1.19", "a189e10fb48dc0fa550721ee2206a1df8a2fd68d213149bf68793976b0ade687"},
	{"org.apache.derby:derby:10.10.2.0", "6ec02553e51abd4dca1546e572dfe36800d52eb83aad2310bb618a60bded3bae"},
}

// bring returns the paths of the jars in the cache. Those that are not there, or not whole, come through mvn.
func bring(t *testing.T, jars []jar) []string {
	t.Helper()
	cache, err := homes.Cache()
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, j := range jars {
		part := strings.Split(j.coordinates, ":")
		path := filepath.Join(cache, "maven", part[1]+"-"+part[2]+".jar")
		if digest(path) != j.sha256 {
			if err := copyFromMaven(j, path); err != nil {
				t.Fatal(err)
			}
		}
		paths = append(paths, path)
	}
	return paths
}

// copyFromMaven lays the jar at path only when it is the right one.
func copyFromMaven(j jar, path string) error {
	if _, err := exec.LookPath("mvn"); err != nil {
		return fmt.Errorf("%s is not in the cache, and mvn, which would fetch it, is not installed: apt-get install maven", j.coordinates)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), "incoming-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out, err := exec.Command("mvn", "-q", "-B", "dependency:copy", "-Dartifact="+j.coordinates, "-DoutputDirectory="+dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("mvn dependency:copy of %s: %w\n%s", j.coordinates, err, out)
	}
	came := filepath.Join(dir, filepath.Base(path))
	if d := digest(came); d != j.sha256 {
		return fmt.Errorf("%s has the digest %q, expected %s", j.coordinates, d, j.sha256)
	}
	return os.Rename(came, path)
}

// digest returns the file's sha256 in hex, and nothing when it cannot be read.
func digest(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return hex.EncodeToString(h.Sum(nil))
}

// homeWith returns a home like the shared one of this version, with more jars in lib.
func homeWith(t *testing.T, version string, jars []string) string {
	t.Helper()
	from, to := homes.Home(t, version), filepath.Join(t.TempDir(), "flink")
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		return linkOrCopy(path, target)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jars {
		if err := linkOrCopy(j, filepath.Join(to, "lib", filepath.Base(j))); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// linkOrCopy links jars, which are only read, and copies the rest: a link of a configuration file would let a
// mistake reach the shared home. Symbolic links would not do: scripts of Flink look for their home through them.
func linkOrCopy(from, to string) error {
	if strings.HasSuffix(from, ".jar") {
		err := os.Link(from, to)
		if err == nil || errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	stat, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, stat.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
