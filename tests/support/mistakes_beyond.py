"""Mistakes that neither schema nor rules can refuse."""

from __future__ import annotations

from support.mistake import FROM, SHA, Mistake, image_job, python_job, step_job

LONG = "x" * 61_000

BEYOND = (
    Mistake("another kind", "beyond", "kind: MapReduce\nspec: {image: i, inputs: []}", "kind", "must be MapReduceJob"),
    Mistake(
        "an old version",
        "beyond",
        "apiVersion: turbobytes.com/v1\nspec: {image: i, inputs: []}",
        "apiVersion",
        "v1alpha1",
    ),
    Mistake("no name", "beyond", "metadata: {}\nspec: {image: i, inputs: []}", "metadata.name", "is required"),
    Mistake(
        "a bad name", "beyond", "metadata: {name: My_Job}\nspec: {image: i, inputs: []}", "metadata.name", "lower-case"
    ),
    Mistake(
        "an unknown resource",
        "beyond",
        image_job("resources: {requests: {cpus: 1}}"),
        "spec.resources.requests.cpus",
        "not a resource of a node",
    ),
    Mistake(
        "negative memory",
        "beyond",
        image_job("resources: {requests: {memory: -1Gi}}"),
        "spec.resources.requests.memory",
        "must not be negative",
    ),
    Mistake(
        "more than the limit",
        "beyond",
        image_job("resources: {requests: {cpu: 2}, limits: {cpu: 500m}}"),
        "spec.resources.requests.cpu",
        "more than the limit, 500m",
    ),
    Mistake(
        "an open bracket",
        "beyond",
        FROM.format("glob: 's3://abc/part-[0-9.gz'"),
        "spec.inputsFrom[0].glob",
        "without its",
    ),
    Mistake(
        "a range backwards",
        "beyond",
        FROM.format("glob: 's3://abc/part-[9-0].gz'"),
        "spec.inputsFrom[0].glob",
        "lower character first",
    ),
    Mistake(
        "stars in a word",
        "beyond",
        FROM.format("glob: 's3://abc/a**/x'"),
        "spec.inputsFrom[0].glob",
        "must stand alone",
    ),
    Mistake(
        "a pattern for a bucket", "beyond", FROM.format("glob: 's3://*/x'"), "spec.inputsFrom[0].glob", "in the bucket"
    ),
    Mistake(
        "a glob as a prefix",
        "beyond",
        FROM.format("prefix: 's3://abc/*.gz'"),
        "spec.inputsFrom[0].prefix",
        "as a glob",
    ),
    Mistake(
        "a prefix on a web server",
        "beyond",
        FROM.format("prefix: 'https://host/x/'"),
        "spec.inputsFrom[0].prefix",
        "cannot be listed.*as a manifest",
    ),
    Mistake(
        "a split of nothing",
        "beyond",
        "image: i\ninputsFrom: [{prefix: 's3://abc/'}]\nsplit: {size: 0}",
        "spec.split.size",
        "less than a byte",
    ),
    Mistake(
        "no bucket in an address", "beyond", FROM.format("prefix: 's3:///x'"), "spec.inputsFrom[0].prefix", "no bucket"
    ),
    Mistake(
        "a relative file", "beyond", FROM.format("prefix: 'file://x/y'"), "spec.inputsFrom[0].prefix", "absolute path"
    ),
    Mistake(
        "http without a host", "beyond", FROM.format("manifest: 'http:///x'"), "spec.inputsFrom[0].manifest", "no host"
    ),
    Mistake(
        "two steps of one name",
        "beyond",
        "inputs: []\nsteps: [{name: a, mapper: {command: [x]}}, {name: a, mapper: {command: [x]}}]",
        "spec.steps[1].name",
        "also the name of step 0",
    ),
    Mistake(
        "a reducer that inherits 0",
        "beyond",
        step_job("reducer: {command: [x]}") + "\npartitions: 0",
        "spec.steps[0].partitions",
        "inherits 0 partitions",
    ),
    Mistake(
        "a blank script",
        "beyond",
        "inputs: []\nsteps: [{mapper: {script: ' '}}]",
        "spec.steps[0].mapper.script",
        "blank",
    ),
    Mistake(
        "a blank program",
        "beyond",
        "inputs: []\nsteps: [{mapper: {command: ['']}}]",
        "spec.steps[0].mapper.command[0]",
        "begin with the program",
    ),
    Mistake(
        "a blank requirement", "beyond", python_job("requirements: [' ']"), "spec.program.python.requirements[0]", "pip"
    ),
    Mistake(
        "an option as requirement",
        "beyond",
        python_job("requirements: ['-r x']"),
        "spec.program.python.requirements[0]",
        "pip",
    ),
    Mistake(
        "two files of one name",
        "beyond",
        image_job(
            "files: [{name: a, configMapKeyRef: {name: c, key: k}}, {name: a, configMapKeyRef: {name: c, key: k}}]"
        ),
        "spec.files[1].name",
        "occurs twice",
    ),
    Mistake("a jobarg without a name", "beyond", image_job("jobargs: {'': x}"), "spec.jobargs", "a key must have"),
    Mistake(
        "a bucket like an address",
        "beyond",
        image_job("storage: {s3: {bucket: 10.0.0.1}}"),
        "spec.storage.s3.bucket",
        "IP address",
    ),
    Mistake(
        "a pod without its spec",
        "beyond",
        image_job("template: {tolerations: []}"),
        "spec.template.tolerations",
        "is not a field",
    ),
    Mistake(
        "a spec that is text", "beyond", image_job("template: {spec: x}"), "spec.template.spec", "object with members"
    ),
    Mistake(
        "containers as object",
        "beyond",
        image_job("template: {spec: {containers: {name: a}}}"),
        "spec.template.spec.containers",
        "must be a list",
    ),
    Mistake(
        "a container without a name",
        "beyond",
        image_job("template: {spec: {containers: [{image: a}]}}"),
        "spec.template.spec.containers[0].name",
        "is required",
    ),
    Mistake(
        "a container without an image",
        "beyond",
        image_job("template: {spec: {containers: [{name: a}]}}"),
        "spec.template.spec.containers[0].image",
        "is required",
    ),
    Mistake(
        "a container's bad name",
        "beyond",
        image_job("template: {spec: {containers: [{name: A_b, image: x}]}}"),
        "spec.template.spec.containers[0].name",
        "lower-case letters",
    ),
    Mistake(
        "a container that is text",
        "beyond",
        image_job("template: {spec: {containers: [worker]}}"),
        "spec.template.spec.containers[0]",
        "object with members",
    ),
    Mistake(
        "two containers of one name",
        "beyond",
        image_job("template: {spec: {initContainers: [{name: a, image: x}], containers: [{name: a, image: x}]}}"),
        "spec.template.spec.containers[0].name",
        "occurs twice",
    ),
    Mistake(
        "a KUBEMR_ variable",
        "beyond",
        image_job("template: {spec: {containers: [{name: worker, env: [{name: KUBEMR_RUN, value: '2'}]}]}}"),
        "spec.template.spec.containers[0].env[0].name",
        "set by the operator",
    ),
    Mistake(
        "a variable that is a number",
        "beyond",
        image_job("template: {spec: {containers: [{name: worker, env: [{name: A, value: 2}]}]}}"),
        "spec.template.spec.containers[0].env[0].value",
        'quote it: "2"',
    ),
    Mistake(
        "a variable with two values",
        "beyond",
        image_job("template: {spec: {containers: [{name: worker, env: [{name: A, value: '2', valueFrom: {}}]}]}}"),
        "spec.template.spec.containers[0].env[0]",
        "both value and valueFrom",
    ),
    Mistake(
        "a variable without a name",
        "beyond",
        image_job("template: {spec: {containers: [{name: worker, env: [{value: x}]}]}}"),
        "spec.template.spec.containers[0].env[0]",
        "must have a name",
    ),
    Mistake(
        "variables as object",
        "beyond",
        image_job("template: {spec: {containers: [{name: worker, env: {A: x}}]}}"),
        "spec.template.spec.containers[0].env",
        "must be a list",
    ),
    Mistake(
        "a worker that restarts always",
        "beyond",
        image_job("template: {spec: {restartPolicy: Always}}"),
        "spec.template.spec.restartPolicy",
        "must be Never",
    ),
    Mistake(
        "kubemr's own label",
        "beyond",
        image_job("template: {metadata: {labels: {kubemr.turbobytes.com/run: '1'}}}"),
        "spec.template.metadata.labels.kubemr.turbobytes.com/run",
        "is reserved for kubemr",
    ),
    Mistake(
        "a label that is true",
        "beyond",
        image_job("template: {metadata: {labels: {spot: true}}}"),
        "spec.template.metadata.labels.spot",
        'quote it: "true"',
    ),
    Mistake(
        "a name in the template",
        "beyond",
        image_job("template: {metadata: {name: x}}"),
        "spec.template.metadata.name",
        "labels, annotations",
    ),
    Mistake(
        "a bad beginning of a name",
        "beyond",
        "metadata: {generateName: My_}\nspec: {image: i, inputs: []}",
        "metadata.generateName",
        "a beginning such as wordcount-",
    ),
    Mistake(
        "no address at all",
        "beyond",
        FROM.format("prefix: 'http://[x/'"),
        "spec.inputsFrom[0].prefix",
        "is not an address",
    ),
    Mistake(
        "a file of no bucket",
        "beyond",
        image_job(f"files: [{{name: a, url: 's3:///a', sha256: '{SHA}'}}]"),
        "spec.files[0].url",
        "no bucket",
    ),
    Mistake(
        "a program of no host",
        "beyond",
        f"inputs: []\nprogram: {{python: {{source: {{url: 'http:///a', sha256: '{SHA}'}}}}}}",
        "spec.program.python.source.url",
        "no host",
    ),
    Mistake(
        "another image in the template",
        "beyond",
        image_job("template: {spec: {containers: [{name: worker, image: other}]}}"),
        "spec.template.spec.containers[0].image",
        "differs from spec.image",
    ),
    Mistake(
        "other resources in the template",
        "beyond",
        image_job(
            "resources: {limits: {cpu: 1}}\n"
            "template: {spec: {containers: [{name: worker, resources: {limits: {cpu: 2}}}]}}"
        ),
        "spec.template.spec.containers[0].resources",
        "leave it out of the template",
    ),
    Mistake(
        "a worker that only initializes",
        "beyond",
        image_job("template: {spec: {initContainers: [{name: worker, image: x}]}}"),
        "spec.template.spec.initContainers[0].name",
        "give another name",
    ),
    Mistake(
        "metadata that is text",
        "beyond",
        image_job("template: {metadata: x}"),
        "spec.template.metadata",
        "object with members",
    ),
    Mistake(
        "labels as list",
        "beyond",
        image_job("template: {metadata: {labels: [a]}}"),
        "spec.template.metadata.labels",
        "name: value pairs",
    ),
    Mistake(
        "a large template",
        "beyond",
        image_job(f"template: {{metadata: {{annotations: {{a: {LONG}, b: {LONG}, c: {LONG}, d: {LONG[:300]}}}}}}}"),
        "spec",
        "of template: must have at most 180224 bytes",
    ),
    Mistake(
        "long scripts",
        "beyond",
        step_job(f"reducer: {{script: {LONG}}}}}, {{mapper: {{script: {LONG}}}, reducer: {{script: {LONG}}}"),
        "spec",
        "of steps: must have at most 180224 bytes",
    ),
    Mistake(
        "many long arguments",
        "beyond",
        python_job(f"args: [{', '.join([LONG[:4096]] * 44)}]"),
        "spec",
        "of program: must have at most 180224 bytes",
    ),
)
