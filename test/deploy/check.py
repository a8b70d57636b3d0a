# Reads streams of manifests (JSON: name to YAML), holds each object against the schemas of the versions named in the arguments, or
# against the definition of its kind (apiVersion/kind to file of a CustomResourceDefinition), and answers in JSON.
import json
import sys

import jsonschema
import kubernetes_validate
import yaml

# Values that newer releases of an operator take where the definition at hand lists fewer: (kind, property) to values.
NEWER = {("FlinkDeployment", "flinkVersion"): ["v2_0", "v2_1", "v2_2", "v2_3"]}


def strict(schema, kind):
    """A schema that refuses what the API server would prune, in the words of JSON schema."""
    if not isinstance(schema, dict):
        return schema
    made = {k: v for k, v in schema.items() if k not in ("properties", "items", "additionalProperties", "format")}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    if "items" in schema:
        made["items"] = strict(schema["items"], kind)
    if "properties" in schema:
        made["properties"] = {name: strict(s, kind) for name, s in schema["properties"].items()}
        for name, s in made["properties"].items():
            if (kind, name) in NEWER and "enum" in s:
                s["enum"] = s["enum"] + [v for v in NEWER[kind, name] if v not in s["enum"]]
    if "additionalProperties" in schema:
        made["additionalProperties"] = strict(schema["additionalProperties"], kind)
    elif "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made["additionalProperties"] = False
    return made


def custom(files):
    schemas = {}
    for name, path in files.items():
        group, version, kind = name.split("/")
        with open(path) as f:
            definition = yaml.load(f, yaml.CSafeLoader)
        for v in definition["spec"]["versions"]:
            if v["name"] == version:
                schema = strict(v["schema"]["openAPIV3Schema"], kind)
                for known in ("apiVersion", "kind", "metadata"): # not every definition lists them
                    schema["properties"].setdefault(known, {})
                schemas[name] = jsonschema.Draft7Validator(schema)
        if name not in schemas:
            sys.exit("%s: no version %s" % (path, version))
    return schemas


asked = json.load(sys.stdin)
schemas = custom(asked["definitions"])
answer = {}
for name, stream in asked["streams"].items():
    objects = [o for o in yaml.load_all(stream, yaml.CSafeLoader) if o]
    problems = []
    for o in objects:
        where = "%s %s" % (o["kind"], o["metadata"]["name"])
        validator = schemas.get("%s/%s" % (o["apiVersion"], o["kind"]))
        if validator:
            for e in validator.iter_errors(o):
                problems.append("%s: %s: %s" % (where, ".".join(map(str, e.path)), e.message))
            continue
        for version in sys.argv[1:]:
            try:
                kubernetes_validate.validate(o, version, strict=True)
            except kubernetes_validate.ValidationError as e:
                problems.append("%s: %s: %s: %s" % (version, where, ".".join(map(str, e.path)), e.message))
    answer[name] = {"objects": objects, "problems": problems}
json.dump(answer, sys.stdout)
