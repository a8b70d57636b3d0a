package launch

import (
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	variables := map[string]string{"HOSTNAME": "host1", "MYVAR": "one two", "EMPTY": "", "N": "4", "LEAD": " x "}
	lookup := func(name string) (string, bool) {
		v, ok := variables[name]
		return v, ok
	}
	for _, test := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"  -Da=1\t-Db=2\n-Dc=3 ", []string{"-Da=1", "-Db=2", "-Dc=3"}},
		{`-Dq="x y" -Dr='a  b'`, []string{"-Dq=x y", "-Dr=a  b"}},
		{`-D'k'=v"w"x`, []string{"-Dk=vwx"}},
		{`-Dp=a\ b -Dw=C:\\x \"q\"`, []string{"-Dp=a b", `-Dw=C:\x`, `"q"`}},
		{`-De="a\"b\$c\d\\"`, []string{`-De=a"b$c\d\`}},
		{`-Dt=x\`, []string{`-Dt=x\`}},
		{`'' -Da=1 ""`, []string{"", "-Da=1", ""}},
		{"-Dh=$HOSTNAME-${HOSTNAME}x", []string{"-Dh=host1-host1x"}},
		{`-Dm=$MYVAR -Dn="$MYVAR" -Do='$MYVAR' -Dp=\$MYVAR`, []string{"-Dm=one", "two", "-Dn=one two", "-Do=$MYVAR", "-Dp=$MYVAR"}},
		{"-Da=1$LEAD-Db", []string{"-Da=1", "x", "-Db"}},
		{"$EMPTY -De=$EMPTY", []string{"-De="}},
		{"-Du=$NOPE -Dv=${NOPE}z", []string{"-Du=$NOPE", "-Dv=${NOPE}z"}},
		{"-Da=${NOPE:-d} -Db=${EMPTY:-d} -Dc=${EMPTY-d} -Dd=${HOSTNAME:-d}", []string{"-Da=d", "-Db=d", "-Dc=", "-Dd=host1"}},
		{"-Da=${NOPE:+d} -Db=${HOSTNAME:+d} -Dc=${EMPTY+d}", []string{"-Da=", "-Db=d", "-Dc=d"}},
		{"-Da=${#HOSTNAME} -Db=${HOSTNAME%1}", []string{"-Da=${#HOSTNAME}", "-Db=${HOSTNAME%1}"}},
		{"-Dn=$((1+2*3)) -Dm=$(( (1+2)*$N )) -Dk=$((0x10-N))", []string{"-Dn=7", "-Dm=12", "-Dk=12"}},
		{"-Dn=$((1+2", nil},
		{"-Dc=$(echo hi) -Dd=`date +%s`", []string{"-Dc=$(echo hi)", "-Dd=`date +%s`"}},
		{"-Dx=$ -Dy=$% -Dz=$1", []string{"-Dx=$", "-Dy=$%", "-Dz=$1"}},
		{"-Da=1;2 -Db=x&y -Dc=(z)", []string{"-Da=1;2", "-Db=x&y", "-Dc=(z)"}},
		{"-Da=b#c -Dd=e #rest -Df=g", []string{"-Da=b#c", "-Dd=e"}},
		{"-Xlog:gc*:file=/x -Db={e} -Dc=[g] -Dt=~", []string{"-Xlog:gc*:file=/x", "-Db={e}", "-Dc=[g]", "-Dt=~"}},
	} {
		e := &evaluation{lookup: lookup}
		got, err := e.words(test.text)
		if test.want == nil && test.text != "" {
			if err == nil {
				t.Errorf("%s: %q, want an error", test.text, got)
			}
			continue
		}
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s:\n got %q, %v\nwant %q", test.text, got, err, test.want)
		}
	}
}

func TestUnbalanced(t *testing.T) {
	for text, want := range map[string]string{
		`-Da="x -Db=1`:       `unbalanced " at character 5`,
		`-Da='x`:             `unbalanced ' at character 5`,
		"-Da=`x":             "unbalanced ` at character 5",
		`-Da=${X`:            `unbalanced { at character 6`,
		`-Da=$(x`:            `unbalanced $ at character 5`,
		`-Da="$(x`:           `unbalanced $ at character 6`,
		`-Da="` + "`x":       "unbalanced ` at character 6",
		`-Da="secret"'-Db=1`: `unbalanced ' at character 13`,
	} {
		e := &evaluation{lookup: func(string) (string, bool) { return "", false }}
		_, err := e.words(text)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a value: %v", text, err)
		}
	}
}

func TestArithmetic(t *testing.T) {
	lookup := func(name string) (string, bool) { return map[string]string{"A": "7", "B": "x"}[name], true }
	for text, want := range map[string]string{
		"1+2": "3", " 7 - 2 - 1 ": "4", "2*(3+4)": "14", "-3+1": "-2", "7/2": "3", "7%4": "3", "A*2": "14", "$A": "7", "UNSET": "0", "010": "8", "0x1f": "31",
		"1/0": "", "1+": "", "B": "", "(1": "", "1 2": "", "": "", "a=1": "", "1_000": "", "0b1": "",
	} {
		got, ok := arithmetic(text, lookup)
		if got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, ok, want)
		}
	}
}
