package catalog

import (
	"fmt"
	"strings"
	"testing"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/secret"
	"flink-entrypoint/test/growth"
)

func TestGrowth(t *testing.T)      { growth.Test(t, growthCases()) }
func BenchmarkGrowth(b *testing.B) { growth.Bench(b, growthCases()) }

func growthCases() []growth.Case {
	var cases []growth.Case
	for _, c := range []struct {
		name string
		add  func(s *Spec, i int)
	}{
		{"settings", func(s *Spec, i int) { s.Set = append(s.Set, KV{fmt.Sprintf("key-%d", i), secret.Public("value")}) }},
		{"jars", func(s *Spec, i int) { s.Jars = append(s.Jars, fmt.Sprintf("/opt/flink/usrlib/%d.jar", i)) }},
		{"modules", func(s *Spec, i int) { s.Modules = append(s.Modules, Module{Name: fmt.Sprintf("m%d", i)}) }},
		{"catalogs", func(s *Spec, i int) {
			s.Catalogs = append(s.Catalogs, Catalog{Name: fmt.Sprintf("c%d", i), Options: []KV{{"type", secret.Public("jdbc")}, {"password", secret.Hidden("x")}}})
		}},
		{"options", func(s *Spec, i int) {
			if i == 0 {
				s.Catalogs = []Catalog{{Name: "c", Options: []KV{{"type", secret.Public("jdbc")}}}}
			}
			s.Catalogs[0].Options = append(s.Catalogs[0].Options, KV{fmt.Sprintf("key-%d", i), secret.Public("it's")})
		}},
		{"stored", func(s *Spec, i int) {
			stored := fmt.Sprintf("CREATE CATALOG c%d WITH ('type'='generic_in_memory', 'password'='x')", i)
			s.Catalogs = append(s.Catalogs, Catalog{CreateStatement: secret.Public(stored)})
		}},
		{"functions", func(s *Spec, i int) {
			s.Functions = append(s.Functions, Function{Name: fmt.Sprintf("f%d", i), Class: "com.example.F", Jars: []string{"/opt/flink/usrlib/a.jar"}})
		}},
	} {
		cases = append(cases, growth.Case{Name: "init-" + c.name, N: 100, Sizes: []int{1, 10, 100, 1000, 10_000}, Prepare: func(tb testing.TB, n int) func() error {
			var spec Spec
			for i := range n {
				c.add(&spec, i)
			}
			target := Target{Flink: flinkversion.Of(2, 2, 0), Sensitive: func(key string) bool { return strings.Contains(key, "password") }}
			return func() error {
				statements, err := Init(spec, target)
				if err == nil && len(Write(statements)) < 5*n {
					err = fmt.Errorf("%d statements of %d", len(statements), n)
				}
				return err
			}
		}})
	}
	return cases
}
