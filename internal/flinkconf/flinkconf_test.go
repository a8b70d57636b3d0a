package flinkconf

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/javatext"
	"flink-entrypoint/internal/secret"
)

func errorText(err error) string {
	var e *javatext.Exception
	if errors.As(err, &e) {
		return strings.Join(e.Chain(), "; ")
	}
	return ""
}

func TestParseMemorySize(t *testing.T) {
	const units = "(b | bytes) / (k | kb | kibibytes) / (m | mb | mebibytes) / (g | gb | gibibytes) / (t | tb | tebibytes)"
	for _, test := range []struct {
		text string
		want int64
		err  string
	}{
		{"1728m", 1728 << 20, ""},
		{" 4 GB ", 4 << 30, ""},
		{"4\u212a", 4 << 10, ""}, // the Kelvin sign is a k in lower case, for Java too
		{"0", 0, ""},
		{"8388607t", 8388607 << 40, ""},
		{"9223372036854775807", math.MaxInt64, ""},
		{"", 0, javatext.IllegalArgument + ": argument is an empty- or whitespace-only string"},
		{"-1", 0, javatext.NumberFormat + ": text does not start with a number"},
		{"١m", 0, javatext.NumberFormat + ": text does not start with a number"},
		{"1.5G", 0, javatext.IllegalArgument + ": Memory size unit '.5g' does not match any of the recognized units: " + units},
		{"4Gi", 0, javatext.IllegalArgument + ": Memory size unit 'gi' does not match any of the recognized units: " + units},
		{"9223372036854775808", 0, javatext.IllegalArgument + ": The value '9223372036854775808' cannot be re represented as 64bit number (numeric overflow)."},
		{"8388608 t", 0, javatext.IllegalArgument + ": The value '8388608 t' cannot be re represented as 64bit number of bytes (numeric overflow)."},
	} {
		got, err := ParseMemorySize(test.text)
		if got != test.want || errorText(err) != test.err {
			t.Errorf("ParseMemorySize(%q) = %d, %q, want %d, %q", test.text, got, errorText(err), test.want, test.err)
		}
	}
}

func TestFormatMemorySize(t *testing.T) {
	for _, test := range []struct {
		size               int64
		text, short, human string
	}{
		{0, "0 bytes", "0b", "0 bytes"},
		{1023, "1023 bytes", "1023b", "1023 bytes"},
		{1024, "1 kb", "1k", "1024 bytes"},
		{1728 << 20, "1728 mb", "1728m", "1.688gb (1811939328 bytes)"},
		{1 << 30, "1 gb", "1g", "1024.000mb (1073741824 bytes)"},
		{1 << 40, "1099511627776 bytes", "1t", "1024.000gb (1099511627776 bytes)"},
		{1811939329, "1811939329 bytes", "1811939329b", "1.688gb (1811939329 bytes)"},
		{1088, "1088 bytes", "1088b", "1.063kb (1088 bytes)"}, // 1.0625: half up
		{math.MaxInt64, "9223372036854775807 bytes", "9223372036854775807b", "8388608.000tb (9223372036854775807 bytes)"},
	} {
		if got := FormatMemorySize(test.size); got != test.text {
			t.Errorf("FormatMemorySize(%d) = %q, want %q", test.size, got, test.text)
		}
		if got := ShortMemorySize(test.size); got != test.short {
			t.Errorf("ShortMemorySize(%d) = %q, want %q", test.size, got, test.short)
		}
		if got := HumanReadable(test.size); got != test.human {
			t.Errorf("HumanReadable(%d) = %q, want %q", test.size, got, test.human)
		}
	}
}

func TestTypedReads(t *testing.T) {
	v117, v116 := flinkversion.Of(1, 17, 2), flinkversion.Of(1, 16, 3)
	var c Conf
	set := func(key, value string, kind Kind) { c.Set(Entry{Key: key, Value: secret.Public(value), Kind: kind}) }
	set("old", "5m", String)
	set("float", "0.1", String)
	set("yaml-float", "0.4", Double)
	set("hex", "0x1p-2", String)
	set("suffix", " 0.4d ", String)
	set("tiny", "1.0E-50", Double)
	set("infinite", ".inf", Double)
	set("points", "1..2", String)
	set("arabic", "١٢", String)
	set("long", "2147483648", Long)
	set("bool", "falſe", String)
	set("a.password", "hunter2", String)
	c.Set(Entry{Key: "ref", Value: secret.Hidden("hunter2")})
	set("e", "1.0E9", Double)
	opt := func(key string) Option { return Option{Key: key} }

	if size, ok, err := c.MemorySize(Option{"new", []string{"older", "old"}}, v117); size != 5<<20 || !ok || err != nil {
		t.Errorf("fallback key: %d %v %v", size, ok, err)
	}
	if _, ok, err := c.MemorySize(opt("nothing"), v117); ok || err != nil {
		t.Errorf("unset: %v %v", ok, err)
	}
	for key, want := range map[string]float64{"float": 0.10000000149011612, "yaml-float": 0.4000000059604645, "hex": 0.25, "suffix": 0.4000000059604645} {
		if got, _, err := c.Float(opt(key), v117); got != want || err != nil {
			t.Errorf("Float(%s) = %g, %v, want %g", key, got, err, want)
		}
	}
	if got, _, err := c.Int(opt("arabic"), v117); got != 12 || err != nil {
		t.Errorf("Int(arabic) = %d, %v", got, err)
	}
	if got, _, err := c.Bool(opt("bool"), v117); got || err != nil {
		t.Errorf("Bool = %v, %v", got, err)
	}
	if got, _, err := c.Duration(opt("arabic"), v117); got != 0 || err == nil {
		t.Errorf("Duration = %v, %v", got, err)
	}
	if got, _ := c.RawText(opt("infinite")); got != "Infinity" {
		t.Errorf("RawText = %q", got)
	}
	read := func(_ any, _ bool, err error) string { return errorText(err) }
	for _, test := range []struct{ name, got, want string }{
		{"underflow", read(c.Float(opt("tiny"), v117)), javatext.IllegalArgument + ": Could not parse value '1.0E-50' for key 'tiny'.; " +
			javatext.IllegalArgument + ": Configuration value 1.0E-50 overflows/underflows the float type."},
		{"infinity", read(c.Float(opt("infinite"), v117)), javatext.IllegalArgument + ": Could not parse value 'Infinity' for key 'infinite'.; " +
			javatext.IllegalArgument + ": Configuration value Infinity overflows/underflows the float type."},
		{"two points", read(c.Double(opt("points"), v117)), javatext.IllegalArgument + ": Could not parse value '1..2' for key 'points'.; " + javatext.NumberFormat + ": multiple points"},
		{"too long", read(c.Int(opt("long"), v117)), javatext.IllegalArgument + ": Could not parse value '2147483648' for key 'long'.; " +
			javatext.IllegalArgument + ": Configuration value 2147483648 overflows/underflows the integer type."},
		{"exponent", read(c.Long(opt("e"), v117)), javatext.IllegalArgument + ": Could not parse value '1.0E9' for key 'e'.; " + javatext.NumberFormat + `: For input string: "1.0E9"`},
		{"sensitive", read(c.Int(opt("a.password"), v117)), javatext.IllegalArgument + ": Could not parse value for key 'a.password'.; " + javatext.NumberFormat + `: For input string: "hunter2"`},
		{"sensitive, before", read(c.Int(opt("a.password"), v116)), javatext.IllegalArgument + ": Could not parse value 'hunter2' for key 'a.password'.; " +
			javatext.NumberFormat + `: For input string: "hunter2"`},
		{"secret", read(c.Int(opt("ref"), v116)), javatext.IllegalArgument + ": Could not parse value for key 'ref'."},
	} {
		if test.got != test.want {
			t.Errorf("%s: %q, want %q", test.name, test.got, test.want)
		}
	}
}

func TestIsSensitive(t *testing.T) {
	for _, test := range []struct {
		key   string
		since flinkversion.Release
	}{
		{"s3.Secret-Key", flinkversion.Since(1, 13)}, {"a.apikey", flinkversion.Since(1, 13)}, {"x.TOKEN.y", flinkversion.Since(1, 17)}, {"security.jaas.config", flinkversion.Since(1, 17)},
		{"m.http-headers", flinkversion.Since(1, 19)}, {"api-key", flinkversion.Since(2, 1)},
	} {
		for _, version := range []string{"1.13.6", "1.16.3", "1.17.2", "1.18.1", "1.19.3", "1.20.5", "2.0.2", "2.1.3", "2.3.0"} {
			v, err := flinkversion.Parse(version)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := IsSensitive(test.key, v), v.Reaches(test.since); got != want {
				t.Errorf("IsSensitive(%q, %s) = %v", test.key, v, got)
			}
		}
	}
}

func TestApplyDynamicArgs(t *testing.T) {
	const missing = FlinkParse + ": Failed to parse the command line arguments.; " + MissingArgument + ": Missing argument for option: D"
	v := flinkversion.Of(1, 20, 5)
	for _, test := range []struct {
		args []string
		want string // "key=value" sorted, joined by " | "
		err  string
	}{
		{[]string{"-D", "a=b", "-Dc=d=e", "-D", "a=c"}, "a=c | c=d=e", ""},
		{[]string{"-Dflag", "-D=x", "-D", "=y"}, "=y | flag=true | x=true", ""},
		{[]string{"--host", "h", "x", "-D", `"a=b c"`, "--", "-Dd=e"}, "a=b c | d=e", ""},
		{[]string{"-D", "a"}, "", missing},
		{[]string{"-D", "a", "D", "b"}, "a=D", ""},
		{[]string{"-D", "--", "-Dx=y"}, "", missing},
		{[]string{"configDir", "x", "-Dx=y"}, "", ""}, // no option after all: the rest is the program's
		{[]string{"-D", "-=x"}, "", javatext.IndexOutOfBounds + ": begin 0, end 1, length 0"},
	} {
		base := &Conf{}
		c, err := ApplyDynamicArgs(base, test.args, v)
		var got []string
		for e := range c.All() {
			if e.Source != (Source{DynamicProperty, "-D"}) {
				t.Errorf("%q: source %+v", test.args, e.Source)
			}
			got = append(got, e.Key+"="+e.Value.Reveal())
		}
		slices.Sort(got)
		if s := strings.Join(got, " | "); s != test.want || errorText(err) != test.err {
			t.Errorf("%q: %q, %q, want %q, %q", test.args, s, errorText(err), test.want, test.err)
		}
		if base.Len() != 0 {
			t.Errorf("%q: the base has changed", test.args)
		}
	}
	// commons-cli before 1.5 takes "--D" for a value.
	if c, err := ApplyDynamicArgs(&Conf{}, []string{"-D", "--D"}, flinkversion.Of(1, 14, 6)); err == nil || c != nil || errorText(err) != missing {
		t.Errorf("1.14: %v", err)
	}
	if _, err := ApplyDynamicArgs(nil, []string{"-Da=b"}, v); err != nil {
		t.Errorf("on no configuration: %v", err)
	}
}

func TestParseDuration(t *testing.T) {
	for _, test := range []struct {
		text    string
		version flinkversion.Version
		want    time.Duration
		err     string
	}{
		{"10 s", flinkversion.Of(1, 13, 6), 10 * time.Second, ""},
		{"500", flinkversion.Of(2, 3, 0), 500 * time.Millisecond, ""},
		{"3 MINUTES", flinkversion.Of(1, 14, 6), 3 * time.Minute, ""},
		{"3m", flinkversion.Of(1, 15, 4), 3 * time.Minute, ""},
		{"99999999 d", flinkversion.Of(1, 20, 5), math.MaxInt64, ""},
		{"PT1M1.5S", flinkversion.Of(2, 1, 3), 61500 * time.Millisecond, ""},
		{"P1D", flinkversion.Of(2, 3, 0), 24 * time.Hour, ""},
		{"P1D", flinkversion.Of(2, 0, 2), 0, javatext.NumberFormat + ": text does not start with a number"},
		{"-PT1S", flinkversion.Of(2, 1, 3), 0, javatext.NumberFormat + ": negative duration is not supported"},
		{"PT", flinkversion.Of(2, 1, 3), 0, javatext.NumberFormat + ": text does not start with a number, and is not a valid ISO-8601 duration format: PT"},
		{"106751991167301 d", flinkversion.Of(1, 20, 5), 0, javatext.Arithmetic + ": long overflow"},
		{"99999999999999999999", flinkversion.Of(1, 20, 5), 0, javatext.IllegalArgument + ": The value '99999999999999999999' cannot be re represented as 64bit number (numeric overflow)."},
	} {
		got, err := ParseDuration(test.text, test.version)
		if got != test.want || errorText(err) != test.err {
			t.Errorf("ParseDuration(%q, %s) = %v, %q, want %v, %q", test.text, test.version, got, errorText(err), test.want, test.err)
		}
	}
	_, err := ParseDuration("3m", flinkversion.Of(1, 14, 6))
	if want := javatext.IllegalArgument + ": Time interval unit label 'm' does not match any of the recognized units: DAYS: (d | day | days), HOURS: (h | hour | hours), " +
		"MINUTES: (min | minute | minutes), SECONDS: (s | sec | secs | second | seconds), MILLISECONDS: (ms | milli | millis | millisecond | milliseconds), " +
		"MICROSECONDS: (µs | micro | micros | microsecond | microseconds), NANOSECONDS: (ns | nano | nanos | nanosecond | nanoseconds)"; errorText(err) != want {
		t.Errorf("%q, want %q", errorText(err), want)
	}
}

func FuzzParseMemorySize(f *testing.F) {
	f.Add("1728m")
	f.Fuzz(func(t *testing.T, text string) {
		size, err := ParseMemorySize(text)
		if err != nil {
			return
		}
		for _, again := range []string{FormatMemorySize(size), ShortMemorySize(size)} {
			if got, err := ParseMemorySize(again); got != size || err != nil {
				t.Errorf("%q is %d, %q is %d, %v", text, size, again, got, err)
			}
		}
	})
}
