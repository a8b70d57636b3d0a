# Reads streams of manifests (JSON: name to YAML), holds each object against the schemas of the versions named in the arguments, and
# answers in JSON.
import json
import sys

import kubernetes_validate
import yaml

answer = {}
for name, stream in json.load(sys.stdin).items():
    objects = [o for o in yaml.load_all(stream, yaml.CSafeLoader) if o]
    problems = []
    for o in objects:
        for version in sys.argv[1:]:
            try:
                kubernetes_validate.validate(o, version, strict=True)
            except kubernetes_validate.ValidationError as e:
                problems.append("%s: %s %s: %s: %s" % (version, o["kind"], o["metadata"]["name"], ".".join(map(str, e.path)), e.message))
    answer[name] = {"objects": objects, "problems": problems}
json.dump(answer, sys.stdout)
