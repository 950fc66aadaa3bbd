"""Mistakes that the schema refuses by its keywords, and unknown fields."""

from __future__ import annotations

from support.mistake import FROM, S3, Mistake, image_job, python_job, step_job

SCHEMA = (
    # types
    Mistake("replicas as text", "schema", image_job('replicas: "3"'), "spec.replicas", "whole number.*without quotes"),
    Mistake("replicas with a fraction", "schema", image_job("replicas: 2.5"), "spec.replicas", "whole number"),
    Mistake("image as number", "schema", "image: 3\ninputs: [a]", "spec.image", 'must be a string.*quote it: "3"'),
    Mistake("inputs as text", "schema", "image: i\ninputs: a", "spec.inputs", r"must be a list.*\[a\]"),
    Mistake("an input that is a number", "schema", "image: i\ninputs: [a, 17]", "spec.inputs[1]", 'quote it: "17"'),
    Mistake("an input that is null", "schema", "image: i\ninputs: [a, null]", "spec.inputs[1]", "remove the line"),
    Mistake("a jobarg that is a number", "schema", image_job("jobargs: {min: 3}"), "spec.jobargs.min", 'quote it: "3"'),
    Mistake(
        "jobargs that are nested", "schema", image_job("jobargs: {a: {b: c}}"), "spec.jobargs.a", "must be a string"
    ),
    Mistake("suspend as text", "schema", image_job('suspend: "true"'), "spec.suspend", "true or false"),
    Mistake("storage as text", "schema", image_job("storage: s3://b"), "spec.storage", "object with members"),
    Mistake("template as text", "schema", image_job("template: x"), "spec.template", "object with members"),
    Mistake("a spec that is a list", "schema", "spec: []", "spec", "object with members"),
    Mistake("no spec", "schema", "kind: MapReduceJob", "spec", "is required"),
    Mistake("steps as one object", "schema", "inputs: []\nsteps: {mapper: {}}", "spec.steps", "must be a list"),
    Mistake(
        "cpu as true", "schema", image_job("resources: {limits: {cpu: true}}"), "spec.resources.limits.cpu", "quantity"
    ),
    # unknown fields
    Mistake("a field spelled wrong", "schema", image_job("replica: 3"), "spec.replica", "did you mean replicas"),
    Mistake(
        "a field in snake case", "schema", image_job("max_attempts: 3"), "spec.max_attempts", "did you mean maxAttempts"
    ),
    Mistake(
        "a field at the top", "schema", "spec: {image: i, inputs: []}\nreplicas: 3", "replicas", "mean spec.replicas"
    ),
    Mistake(
        "a field in the wrong object", "schema", image_job("bucket: b"), "spec.bucket", "mean spec.storage.s3.bucket"
    ),
    Mistake(
        "a field of nothing", "schema", image_job("storage: {gcs: {}}"), "spec.storage.gcs", "there are s3, retention"
    ),
    Mistake("unknown in a step", "schema", step_job("shuffle: x"), "spec.steps[0].shuffle", "is not a field"),
    # bounds
    Mistake("negative partitions", "schema", image_job("partitions: -3"), "spec.partitions", "between 0 and 10000"),
    Mistake("too many partitions", "schema", image_job("partitions: 10001"), "spec.partitions", "between 0 and 10000"),
    Mistake("no replicas", "schema", image_job("replicas: 0"), "spec.replicas", "between 1 and 10000.*at least 1"),
    Mistake("no attempts", "schema", image_job("maxAttempts: 0"), "spec.maxAttempts", "give 1 for a single attempt"),
    Mistake("no time", "schema", image_job("taskTimeoutSeconds: 0"), "spec.taskTimeoutSeconds", "between 1 and"),
    Mistake(
        "a negative ttl", "schema", image_job("ttlSecondsAfterFinished: -1"), "spec.ttlSecondsAfterFinished", "between"
    ),
    Mistake(
        "a deadline of 0", "schema", image_job("activeDeadlineSeconds: 0"), "spec.activeDeadlineSeconds", "between 1"
    ),
    Mistake("an empty image", "schema", 'image: ""\ninputs: [a]', "spec.image", "between 1 and 512 characters"),
    Mistake("an empty input", "schema", 'image: i\ninputs: [""]', "spec.inputs[0]", "between 1 and 2048 characters"),
    Mistake("a long input", "schema", f"image: i\ninputs: [{'x' * 2049}]", "spec.inputs[0]", "2048 characters"),
    Mistake("no steps", "schema", "inputs: [a]\nsteps: []", "spec.steps", "between 1 and 16 items"),
    Mistake(
        "an empty argv", "schema", step_job("reducer: {command: []}"), "spec.steps[0].reducer.command", "1 and 64 items"
    ),
    Mistake(
        "too many jobargs",
        "schema",
        image_job(f"jobargs: {{{', '.join(f'a{n}: x' for n in range(257))}}}"),
        "spec.jobargs",
        "256 entries",
    ),
    Mistake("negative restarts", "schema", image_job("restarts: -1"), "spec.restarts", "between 0 and 1000"),
    # patterns and enums
    Mistake("an image with spaces", "schema", 'image: "a b"\ninputs: []', "spec.image", "image's name without spaces"),
    Mistake(
        "a bad policy",
        "schema",
        image_job("storage: {retentionPolicy: Result}"),
        "spec.storage.retentionPolicy",
        "one of None, Results, All.*did you mean Results",
    ),
    Mistake(
        "a policy in lower case",
        "schema",
        image_job("storage: {retentionPolicy: all}"),
        "spec.storage.retentionPolicy",
        "did you mean All",
    ),
    Mistake(
        "a bucket with its scheme",
        "schema",
        image_job("storage: {s3: {bucket: 's3://b'}}"),
        "spec.storage.s3.bucket",
        "without s3://",
    ),
    Mistake(
        "no bucket", "schema", image_job("storage: {s3: {region: x}}"), "spec.storage.s3.bucket", "is required.*bucket"
    ),
    Mistake(
        "an endpoint without a scheme",
        "schema",
        image_job(S3.format("endpoint: 'minio:9000'")),
        "spec.storage.s3.endpoint",
        "such as http://minio:9000",
    ),
    Mistake(
        "a secret's bad name",
        "schema",
        image_job(S3.format("secretRef: {name: My_Keys}")),
        "spec.storage.s3.secretRef.name",
        "lower-case letters",
    ),
    Mistake(
        "a prefix that begins with /",
        "schema",
        image_job(S3.format("prefix: /a")),
        "spec.storage.s3.prefix",
        "without a leading slash",
    ),
    Mistake(
        "memory in words",
        "schema",
        image_job("resources: {requests: {memory: 4 GB}}"),
        "spec.resources.requests.memory",
        "such as 500m, 1.5 or 1Gi",
    ),
    Mistake(
        "a split that is no size",
        "schema",
        step_job("partitions: 3") + "\nsplit: {size: 64MB}",
        "spec.split.size",
        "such as 64Mi",
    ),
    Mistake(
        "an input without a scheme", "schema", FROM.format("prefix: corpus/"), "spec.inputsFrom[0].prefix", "s3://"
    ),
    Mistake(
        "a file in a folder",
        "schema",
        "image: i\ninputs: []\nfiles: [{name: a/b, configMapKeyRef: {name: c, key: k}}]",
        "spec.files[0].name",
        "without folders",
    ),
    Mistake(
        "a bad entrypoint",
        "schema",
        python_job("entrypoint: 'wc:main'"),
        "spec.program.python.entrypoint",
        "Python name",
    ),
    Mistake(
        "an empty requirement",
        "schema",
        python_job("requirements: ['']"),
        "spec.program.python.requirements[0]",
        "between 1 and 256 characters",
    ),
    Mistake(
        "ifExists in lower case",
        "schema",
        step_job("partitions: 3") + "\noutput: {url: 's3://res/', ifExists: replace}",
        "spec.output.ifExists",
        "did you mean Replace",
    ),
)
