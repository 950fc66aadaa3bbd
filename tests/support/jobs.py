"""Jobs as users write them: the first kubemr's own manifest, and the three forms of the API."""

from __future__ import annotations

from typing import Any

import yaml

SEED = """\
apiVersion: "turbobytes.com/v1alpha1"
kind: MapReduceJob
metadata:
  generateName: test-
spec:
  image: turbobytes/kubemr-wordcount
  replicas: 10
  inputs:
    - https://tools.ietf.org/rfc/rfc4501.txt
    - https://tools.ietf.org/rfc/rfc2017.txt
"""
"""The manifest of the first kubemr's README, from 2017."""

IMAGE = """\
apiVersion: turbobytes.com/v1alpha1
kind: MapReduceJob
metadata: {generateName: test-}
spec:
  image: turbobytes/kubemr-wordcount
  replicas: 10
  inputs: [https://tools.ietf.org/rfc/rfc4501.txt]
  partitions: 32
  jobargs: {language: en}
  maxAttempts: 4
  taskTimeoutSeconds: 600
  activeDeadlineSeconds: 86400
  ttlSecondsAfterFinished: 604800
  suspend: false
  storage:
    s3: {endpoint: "http://minio:9000", region: us-east-1, bucket: kubemr, prefix: kubemr, secretRef: {name: s3-keys}}
    retentionPolicy: Results
  resources: {requests: {cpu: "1", memory: 1Gi}}
  template: {spec: {tolerations: [{key: spot, operator: Exists}]}}
  restarts: 0
"""

MANY_INPUTS = """\
apiVersion: turbobytes.com/v1alpha1
kind: MapReduceJob
metadata: {generateName: many-}
spec:
  image: turbobytes/kubemr-wordcount
  inputsFrom: [{glob: "s3://logs/2025/**/*.gz"}, {prefix: "s3://more/"}, {manifest: "https://lists.example/corpus"}]
  inputFormat: {type: Lines, compression: Auto}
  split: {size: 64Mi, maxFiles: 1000}
"""

SHELL = """\
apiVersion: turbobytes.com/v1alpha1
kind: MapReduceJob
metadata: {generateName: hits-}
spec:
  replicas: 4
  inputsFrom: [{glob: "s3://logs/2025/**/*.gz"}]
  inputFormat: {type: Lines, compression: Auto, maxBadRecords: 100}
  split: {size: 64Mi, maxFiles: 1000}
  files: [{name: stop.txt, configMapKeyRef: {name: lists, key: stop}}]
  steps:
  - mapper: {script: "tr -s ' ' '\\\\n' | grep -vxFf stop.txt || test $? -eq 1"}
    combiner: {command: [uniq, -c]}
    reducer: {command: [uniq, -c]}
    partitions: 5
  output: {url: "s3://results/hits/", ifExists: Fail, compression: Zstd}
"""

PYTHON = """\
apiVersion: turbobytes.com/v1alpha1
kind: MapReduceJob
metadata: {generateName: wc-}
spec:
  replicas: 4
  inputsFrom: [{prefix: "s3://corpus/"}]
  program:
    python:
      source: {configMapKeyRef: {name: wc-src, key: wordcount.py}}
      entrypoint: WordCount
      args: [--min=3]
      requirements: ["numpy==2.4.*"]
  partitions: 8
  output: {url: "s3://results/wc/", ifExists: Replace}
"""

NOTHING_TO_DO = """\
apiVersion: turbobytes.com/v1alpha1
kind: MapReduceJob
metadata: {name: nothing.to.do}
spec: {image: i, inputs: [], partitions: 0}
"""

EXAMPLES = {
    name: text
    for name, text in (
        ("seed", SEED),
        ("image", IMAGE),
        ("many-inputs", MANY_INPUTS),
        ("shell", SHELL),
        ("python", PYTHON),
        ("nothing-to-do", NOTHING_TO_DO),
    )
}


def example(name: str) -> Any:
    """One of `EXAMPLES` as a document of one's own."""
    return yaml.safe_load(EXAMPLES[name])
