package confpatch

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"flink-entrypoint/internal/flinkversion"
	"flink-entrypoint/internal/secret"
)

// hasBlock is false where src cannot hold a block of an earlier run. UTF-16 is full of zeros.
func hasBlock(src []byte) bool {
	return bytes.Contains(src, []byte(blockBegin)) || bytes.IndexByte(src, 0) >= 0
}

// withBlocks parses a file and finds its generated blocks; nil if it has none or Flink could not read it.
func withBlocks(name string, format Format, v flinkversion.Version, src []byte) *patch {
	f, err := Parse(name, format, v, src)
	if err != nil {
		return nil
	}
	p := &patch{File: f, eol: eolOf(f.text)}
	p.findBlocks()
	p.findOld()
	return p
}

// adopt makes what an earlier run generated the file's own: the lines stay and the comments around them go, so
// that Render keeps them.
func adopt(name string, format Format, v flinkversion.Version, src []byte) []byte {
	if !hasBlock(src) {
		return src
	}
	p := withBlocks(name, format, v, src)
	if p == nil || len(p.blocks) == 0 {
		return src
	}
	var b strings.Builder
	done := 0
	for _, block := range p.blocks {
		_, first := lineAt(p.text, block[0])
		last := first
		for next := first; next < block[1]; {
			last = next
			_, next = lineAt(p.text, next)
		}
		b.WriteString(p.text[done:block[0]] + p.text[first:last])
		done = block[1]
	}
	b.WriteString(p.text[done:])
	return p.encoded(b.String())
}

// ByController reports whether a controller wrote the file, native Kubernetes or an operator: it then has kubernetes.cluster-id or
// a key that begins with $internal. and everything in it was chosen. What an earlier run generated is not looked at.
func (f *File) ByController(src []byte) bool {
	has := func(f *File) bool {
		return slices.ContainsFunc(f.keys, func(key string) bool {
			return key == "kubernetes.cluster-id" || strings.HasPrefix(key, "$internal.")
		})
	}
	if !has(f) || !hasBlock(src) {
		return has(f)
	}
	own, err := Parse(f.name, f.format, f.version, dropped(f.name, f.format, f.version, src))
	return err == nil && has(own)
}

// dropped is the file without what an earlier run generated.
func dropped(name string, format Format, v flinkversion.Version, src []byte) []byte {
	if !hasBlock(src) {
		return src
	}
	f, err := Parse(name, format, v, src)
	if err != nil {
		return src
	}
	out, err := f.Render(nil, "")
	if err != nil {
		return src
	}
	return out
}

func (p *patch) encoded(text string) []byte {
	if p.format == Legacy {
		return []byte(text)
	}
	return p.document.Encoding.Encode(text)
}

// mergeEdit returns the base of a file that a user edited after it had been rendered in place: their text, without
// the generated lines that they left alone, and with the lines of the original that had to give way to those. A
// generated line that they changed is theirs.
func mergeEdit(name string, format Format, v flinkversion.Version, original, rendered, edited []byte) []byte {
	now, ours, old := withBlocks(name, format, v, edited), withBlocks(name, format, v, rendered), withBlocks(name, format, v, original)
	if ours == nil || old == nil {
		return adopt(name, format, v, edited)
	}
	var nowBlock map[string]string
	if now != nil {
		nowBlock = now.blockTexts()
	} else if now, nowBlock = apart(name, format, v, edited); now == nil {
		return edited
	}
	oursBlock := ours.blockTexts()
	var changes []Change
	set := func(key, text string) { changes = append(changes, Change{Key: key, Value: secret.Public(text)}) }
	for _, key := range slices.Sorted(maps.Keys(nowBlock)) {
		if _, outside := now.old[key]; outside {
			continue
		}
		text := nowBlock[key]
		if made, ok := oursBlock[key]; !ok || made != text {
			set(key, text)
		} else if i, ok := old.winner[key]; ok {
			set(key, old.leaves[i].value.ConfText())
		}
	}
	for _, key := range old.File.keys {
		_, inNow := now.winner[key]
		if _, generated := nowBlock[key]; generated {
			inNow = true
		}
		_, inOurs := ours.winner[key]
		if !inNow && !inOurs { // the earlier start had deleted it, not the user
			set(key, old.leaves[old.winner[key]].value.ConfText())
		}
	}
	out, err := now.Render(changes, "")
	if err != nil {
		return adopt(name, format, v, edited)
	}
	return adopt(name, format, v, out)
}

// apart reads a file and its generated blocks one by one: a user who adds a key above its generated line makes the
// whole file unreadable.
func apart(name string, format Format, v flinkversion.Version, src []byte) (*patch, map[string]string) {
	var outside, block strings.Builder
	inside := false
	for text, i := string(src), 0; i < len(text); {
		end, next := lineAt(text, i)
		line := strings.TrimLeft(text[i:end], " ")
		inside = inside || strings.HasPrefix(line, blockBegin)
		if inside {
			block.WriteString(text[i:next])
		} else {
			outside.WriteString(text[i:next])
		}
		inside = inside && !strings.HasPrefix(line, blockEnd)
		i = next
	}
	p := withBlocks(name, format, v, []byte(outside.String()))
	generated, err := Parse(name, format, v, []byte(block.String()))
	if p == nil || err != nil || inside {
		return nil, nil
	}
	texts := make(map[string]string, len(generated.keys))
	for _, key := range generated.keys {
		texts[key] = generated.leaves[generated.winner[key]].value.ConfText()
	}
	return p, texts
}

// blockTexts returns the text of the generated blocks.
func (p *patch) blockTexts() map[string]string {
	texts := map[string]string{}
	if len(p.blocks) == 0 {
		return texts
	}
	for _, l := range p.leaves {
		if p.generatedLeaf(l) {
			texts[l.key] = l.value.ConfText()
		}
	}
	return texts
}
