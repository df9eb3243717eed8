"""The short help of each command: what it does, its few usual options, and commands that work. No heavy import."""

from __future__ import annotations

_MODEL_OPTIONS = (
    ("--config FILE", "a file, or the name of a shipped one (`appraise list configs`); later files win"),
    ("--model CLASS", "the method; --model.help CLASS explains its arguments, --model.NAME VALUE sets one"),
    ("--data CLASS", "the data module; --data.help CLASS, --data.NAME VALUE likewise"),
    ("--trainer.NAME VALUE", "any argument of Lightning's Trainer, such as --trainer.max_epochs 5"),
    ("--run FOLDER", "a run: its config.yaml and its best checkpoint; --ckpt_path last takes the newest"),
    ("--ckpt_path FILE", "a checkpoint; the model's arguments come from it, and one that differs is an error"),
    ("--output DIR", "folder of the run (default: runs/<name of the config>)"),
    ("--print_config", "print the effective configuration and stop; =skip_default leaves defaults out"),
    ("--help-all", "every option"),
)

_FIT_OPTIONS = (
    ("--test_after_fit true", "test the best checkpoint at the end"),
    ("--trainer _parts/trainer/gpu", "a shipped group of settings: cpu, gpu, ddp_cpu"),
    ("--trainer.logger _parts/logger/wandb", "a shipped choice of loggers: default, wandb, none"),
)

_DOCTOR_OPTIONS = (
    ("--data CLASS", "look at data, as `fit` takes them, not at the machine: counts, and all that is wrong at once"),
    ("--data.NAME VALUE", "any argument of the data module"),
    ("--config FILE", "or the data of a file, or of a shipped one"),
    ("--report FILE", "write it as JSON too; the exit code is 1 where there is a fault"),
)

_MENTOR_OPTIONS = (
    ("--store FILE", "the feedback store that `predict --config inspection/mine` wrote"),
    ("--annotator NAME", "who answers; each person gets every question once"),
    ("--run NUMBER", "mining run that is asked about, or exported (default: the newest; of an export: all)"),
    ("--order ORDER", "any, margin, entropy, mc_dropout, k_centre, random or class"),
    ("--seed NUMBER", "of the random orders"),
    ("--host ADDRESS", "127.0.0.1 unless told otherwise; any other address needs the token"),
    ("--port NUMBER", "port of the page; 0 takes a free one"),
    ("--token TEXT", "secret that the page needs; made up where others can connect"),
    ("--public-url URL", "where a proxy shows the page, such as https://example.org/mentor/"),
    ("--export FORMAT", "write the answers as coco, yolo, label-studio or csv into --output DIR, and stop"),
    ("--import PATH", "take over a store, or a file or folder of such a format, and stop"),
    ("--root DIR", "folder below which the images of an import are looked for, where its own paths lead nowhere"),
    ("--on-error skip", "leave out what an import cannot take over, and name it; without it nothing is taken over"),
    ("--agreement", "print how far annotators agree, and stop"),
    ("--backup FILE", "write a whole copy of the store, even while others write, and stop"),
    ("--recover FILE", "write what can still be read of a damaged store into a new one, and stop"),
)

_LOOP_OPTIONS = (
    ("--config FILE", "a file, or the name of a shipped one (inspection/loop)"),
    ("--seeds [0,1,2]", "one whole loop for each"),
    ("--processes NUMBER", "trainings at a time"),
    ("--output DIR", "folder of everything; the same command goes on there (default: runs/inspection/loop)"),
    ("--NAME VALUE", "any other key of the configuration"),
)

_STUDY_OPTIONS = (
    ("--config FILE", "a file, or the name of a shipped one (face_diffusion/study)"),
    ("--seeds [0,1,2]", "everything anew for each"),
    ("--samples NUMBER", "pictures of a row"),
    ("--processes NUMBER", "pieces of work at a time"),
    ("--output DIR", "folder of everything; the same command goes on there (default: runs/face_diffusion/study)"),
    ("--NAME VALUE", "any other key of the configuration"),
)

_COMPARE_OPTIONS = (
    ("A", "folder of a result, such as `test` of FaceXBenchEvaluator wrote"),
    ("B", "another one of the same questions"),
    ("--output FILE", "the page (default: compared.html)"),
    ("--most NUMBER", "questions that are shown (default: 200)"),
)

_ANNOTATE_OPTIONS = (
    ("SOURCE", "a video, a folder of videos, an address, camera:0, or - for standard input"),
    ("--ckpt_path FILE", "a trained checkpoint; class names and frame size come from it"),
    ("--run FOLDER", "or a run: its best checkpoint"),
    ("--action NAME", "look for one class alone"),
    ("--seconds NUMBER", "window of the rolling average; --window NUMBER counts frames instead"),
    ("--mode MODE", "trailing (live), centred (files, no delay) or exponential"),
    ("--enter SCORE", "mean score from which a class begins; --leave SCORE below which it ends"),
    ("--rate NUMBER", "score only so many frames a second; --compare_rate reports what that changes"),
    ("--tone_mapping", "show PQ and HLG (high dynamic range) as a usual screen would"),
    ("--truth FILE", "true segments (ActivityNet JSON) to compare with"),
    ("--max_lag SECONDS", "a live source drops frames beyond it; null never (default: 0.5 s, never from -)"),
    ("--show", "a live window; q quits"),
    ("--video false", "write no annotated video"),
    ("--output DIR", "folder of everything; the same command goes on with what is missing there"),
    ("--NAME VALUE", "any other option of `predict`"),
)

_EXTRACT_OPTIONS = (
    ("SOURCE", "a folder of videos, or of a folder for each class; a csv video,class; or one file"),
    ("--output DIR", "folder of the pictures; a run that was stopped goes on in it"),
    ("--every SECONDS", "one frame for so many seconds"),
    ("--count NUMBER", "or so many frames of each video, evenly"),
    ("--size PIXELS", "shorter side of the pictures"),
    ("--class NAME", "class of one file or flat folder (default: the folder's name)"),
    ("--root DIR", "folder that the names in a list are relative to (default: the list's)"),
    ("--timeout SECONDS", "for decoding one file (default: 60)"),
    ("--tone-mapping", "show PQ and HLG (high dynamic range) as a usual screen would"),
)

_GENERATE_OPTIONS = (
    ("--ckpt_path FILE", "a trained face classifier, or a generator that holds its statistics"),
    ("--run FOLDER", "or the folder that `validate --config face_attributes/statistics` wrote"),
    ("--statistics FILE", "statistics.safetensors of that classifier, which `validate` wrote"),
    ("--attributes TEXT", 'what the faces shall show, as in "Smiling, Eyeglasses, no Bangs"'),
    ("--count NUMBER", "faces, each from noise of its own"),
    ("--seed NUMBER", "seed of the first face"),
    ("--mode MODE", "how the target is made: regression, centred, paper, product, sample or nearest"),
    ("--from-image FILE", "take the attributes of a face, and show the result beside it"),
    ("--from-list FILE", "a csv of faces with attributes, or of requests"),
    ("--force", "make a face even where the attributes contradict each other"),
    ("--output DIR", "folder of the pictures, the sheet, the strips and the facts"),
    ("--NAME VALUE", "any other option of `predict`"),
)

_EVALUATE_OPTIONS = (
    ("--config FILE", "a file, or the name of a shipped one (face_attributes/evaluate)"),
    ("--ckpt_path FILE", "a generator, or a classifier with --statistics FILE; or --run FOLDER"),
    ("--judges FILE FILE", "classifiers that had no part in making the faces"),
    ("--modes MODE ...", "how targets are made; each with equal settings"),
    ("--requests NUMBER", "faces a mode and kind of request"),
    ("--output DIR", "folder of the table, the figure and the sheets"),
)

_MEASURE_OPTIONS = (
    ("--generated DIR", "made pictures or videos; several as --generated before=DIR --generated after=DIR"),
    ("--training DIR", "the pictures that the model learnt from"),
    (
        "--held_out DIR",
        "real ones that it did not learn from: how alike strangers are, and what realism is held against",
    ),
    ("--embedder CLASS", "PixelEmbedder (default), TimmEmbedder, FaceLayerEmbedder, CopyDetector; may be given again"),
    ("--embedder.NAME VALUE", "its arguments, such as --embedder.weights FILE"),
    ("--flips true", "look for mirrored copies too; --regions N and --parts N for copies of a part"),
    ("--judge CLASS", "who says what pictures show: FaceJudge, TimmJudge, FunctionJudge; --judge.NAME VALUE"),
    ("--classes NAME ...", "one attribute (with, without), or several of which a picture shows one"),
    ("--target SHARE ...", "their wanted shares (default: equal)"),
    ("--attributes FILE", "list of what the training (and made) pictures show; also tells how often the judge errs"),
    ("--intersections NAME NAME", "count combinations of attributes too"),
    ("--neighbours NUMBER", "of precision and recall (default: 3)"),
    ("--frames NUMBER", "of each video (default: 8)"),
    ("--on_error skip", "leave out pictures that cannot be read, and name them"),
    ("--config FILE", "any of these as a file"),
    ("--output DIR", "folder of page.html, measures.json, measures.csv, nearest.csv and figures"),
)

_SUBMIT_OPTIONS = (
    ("--config FILE", "configuration of the training, as `fit` takes it"),
    ("--sweep ID", "trials of a sweep of W&B, one a job: ID or ENTITY/PROJECT/ID"),
    ("--run FOLDER", "go on with a run that was submitted before"),
    ("--nodes NUMBER", "machines (default: 1)"),
    ("--gpus-per-node NUMBER", "GPUs of each, one process a GPU; 0 for processors alone (default: 1)"),
    ("--tasks-per-node NUMBER", "processes of each where there is no GPU (default: 1)"),
    ("--time H:MM:SS", "wall time; the run is queued again when it is over (default: 1:00:00)"),
    ("--cpus-per-task NUMBER", "processors of each process (default: 4)"),
    ("--memory SIZE", "of each node, such as 64G; --partition, --account, --qos, --constraint, --mail likewise"),
    ("--save-before SECONDS", "left for the last checkpoint (default: 90)"),
    ("--cluster FILE", "TOML file of defaults (default: ~/.config/appraise/cluster.toml)"),
    ("--stage OPTION", "copy what this option of `fit` names to each node first"),
    ("--array seeds=NUMBER", "so many runs, each of another seed; with --sweep the number of jobs alone"),
    ("--output DIR", "as of `fit`: folder of the run's numbered folder"),
    ("--here NUMBER", "no cluster: so many processes on this machine, by torchrun"),
    ("--dry-run", "write nothing and submit nothing: show the script"),
    ("-- --NAME VALUE", "options of `fit`"),
)

_SWEEP_OPTIONS = (
    ("FILE", "a sweep file of W&B, or the name of a shipped one, such as sweeps/ksvqe"),
    ("--offline", "no account and no server: the points are drawn and trained here"),
    ("--count NUMBER", "points, at most (default: run_cap of the file, or all of a grid)"),
    ("--jobs NUMBER", "trainings at a time"),
    ("--seed NUMBER", "seed of the points drawn here (default: 0)"),
    ("--output DIR", "folder of everything; the same command goes on with what is missing there"),
    ("-- --NAME VALUE", "options of `fit` for every point; a --config among them replaces the file's own"),
)

_EXPORT_OPTIONS = (
    ("--ckpt_path FILE", "checkpoint that `fit` wrote"),
    ("--run FOLDER", "or a run: its best checkpoint"),
    ("--output DIR", "new folder of the export"),
    ("--input PLACE", "files to compare the graph with torch on (default: the run's test split)"),
    ("--format FORMAT", "onnx (default) or torch_export"),
    ("--int8 PLACE", "write a quantised graph too, by ranges seen on these training files"),
    ("--data NAME=VALUE", "option of the data, such as image_size=320"),
    ("--force", "replace an earlier export"),
)
_NEW_OPTIONS = (
    ("NAME", "name of the class, such as ScratchFinder; its files are named after it"),
    ("--data CLASS", "data module of the method (default: a new one beside it)"),
    ("--output DIR", "folder of the files (default: the current one)"),
)
_RUNS_OPTIONS = (
    ("FOLDER ...", "where the runs are (default: runs)"),
    ("--metric NAME", "what is compared (default: the metric that chose each checkpoint)"),
    ("--by KEY", "a setting to show beside, such as learning_rate; may be given again"),
    ("--csv FILE", "write the table as csv too"),
    ("--figure FILE", "draw the metric of all runs over the epochs"),
)
_EXPORTED_OPTIONS = (
    ("--output DIR", "folder of the rows"),
    ("--precision NAME", "float32 (default) or int8"),
    ("--threads N", "processors to use (default: all)"),
)

_OWN_OPTIONS = {
    "export": _EXPORT_OPTIONS,
    "run-exported": _EXPORTED_OPTIONS,
    "submit": _SUBMIT_OPTIONS,
    "sweep": _SWEEP_OPTIONS,
    "evaluate-faces": _EVALUATE_OPTIONS,
    "measure-generated": _MEASURE_OPTIONS,
    "generate": _GENERATE_OPTIONS,
    "annotate": _ANNOTATE_OPTIONS,
    "extract-frames": _EXTRACT_OPTIONS,
    "mentor": _MENTOR_OPTIONS,
    "mentor-loop": _LOOP_OPTIONS,
    "reward-study": _STUDY_OPTIONS,
    "compare": _COMPARE_OPTIONS,
    "runs": _RUNS_OPTIONS,
    "new": _NEW_OPTIONS,
    "doctor": _DOCTOR_OPTIONS,
}

_USAGE = {
    "export": "--run FOLDER | --ckpt_path FILE --output DIR [--NAME VALUE ...]",
    "run-exported": "FOLDER INPUT --output DIR [--NAME VALUE ...]",
    "submit": "--config FILE | --sweep ID | --run FOLDER [--NAME VALUE ...] [-- options of fit]",
    "status": "FOLDER",
    "sweep": "FILE [--NAME VALUE ...] [-- options of fit]",
    "evaluate-faces": "--config FILE [--NAME VALUE ...]",
    "measure-generated": "--generated DIR --training DIR [--held_out DIR] [--NAME VALUE ...]",
    "generate": "--ckpt_path FILE --attributes TEXT [--NAME VALUE ...]",
    "annotate": "SOURCE --ckpt_path FILE [--NAME VALUE ...]",
    "extract-frames": "SOURCE --output DIR [--NAME VALUE ...]",
    "mentor": "--store FILE [--NAME VALUE ...]",
    "mentor-loop": "--config FILE [--NAME VALUE ...]",
    "reward-study": "--config FILE [--NAME VALUE ...]",
    "new": "method | data NAME [--NAME VALUE ...]",
    "compare": "A B [--output FILE] [--most NUMBER]",
    "runs": "[FOLDER ...] [--NAME VALUE ...]",
    "list": "[methods | data | callbacks | configs | parts]",
    "doctor": "[--data CLASS --data.NAME VALUE ... | --config FILE] [--report FILE]",
}

_EXAMPLES = {
    "fit": (
        "--config video_quality/demo",
        "--config video_quality/demo --trainer.max_epochs 1 --output runs/try",
        "--model.help KSVQE",
    ),
    "validate": (
        "--config video_quality/demo --ckpt_path FILE",
        "--config video_quality/demo --ckpt_path FILE --trainer _parts/trainer/ddp_cpu",
        "--data.help VideoQualityDataModule",
    ),
    "test": (
        "--config video_quality/demo --ckpt_path FILE",
        "--config video_quality/demo --ckpt_path FILE --output DIR",
        "--data.help VideoQualityDataModule",
    ),
    "predict": (
        "--config video_quality/score --ckpt_path FILE --data.init_args.path FOLDER_OR_FILE --output DIR",
        "--config video_quality/score --print_config=skip_default",
        "--data.help VideoQualityDataModule",
    ),
    "annotate": (
        "kitchen.mp4 --ckpt_path FILE --output annotated",
        "recordings --ckpt_path FILE --mode centred --rate 5 --output annotated",
        "camera:0 --ckpt_path FILE --action drinking --show",
    ),
    "extract-frames": (
        "clips --output frames --every 0.5",
        "clips.csv --output frames --count 16 --size 256",
    ),
    "generate": (
        '--ckpt_path FILE --statistics FILE --attributes "Smiling, Eyeglasses, Gray Hair" --count 8 --output faces',
        "--ckpt_path FILE --from-image portrait.png --output faces",
    ),
    "evaluate-faces": (
        "--config face_attributes/evaluate --ckpt_path FILE --judges FILE FILE --output judged",
        "--config face_attributes/evaluate --ckpt_path FILE --judges FILE FILE --requests 20 --output judged",
    ),
    "measure-generated": (
        "--generated made --training FOLDER --held_out FOLDER --output measured",
        "--generated before=DIR --generated after=DIR --training FOLDER --judge FaceJudge --judge.checkpoint FILE "
        "--classes Sunglasses --output measured",
    ),
    "mentor": (
        "--store mined/feedback.sqlite",
        "--store mined/feedback.sqlite --order margin --annotator second",
        "--store mined/feedback.sqlite --export coco --output answers",
    ),
    "mentor-loop": (
        "--config inspection/loop",
        "--config inspection/loop --seeds [0] --output runs/try",
    ),
    "reward-study": (
        "--config face_diffusion/study",
        "--config face_diffusion/study --seeds [0,1,2] --output runs/try",
    ),
    "submit": (
        "--config video_quality/kvq --gpus-per-node 4 --time 8:00:00 -- --data.init_args.root FOLDER",
        "--config video_quality/demo --gpus-per-node 0 --dry-run -- --trainer.max_epochs 3",
        "--run runs/video_quality/kvq/version_0",
    ),
    "status": ("runs/video_quality/kvq/version_0",),
    "export": (
        "--ckpt_path runs/video_quality/demo/version_0/checkpoints/best.ckpt --output exported",
        "--ckpt_path FILE --input NEW_IMAGES --int8 TRAINING_IMAGES --output exported",
    ),
    "run-exported": ("exported FOLDER --output scores",),
    "sweep": (
        "sweeps/ksvqe --offline --count 4",
        "sweeps/ksvqe --offline --jobs 2 -- --trainer.max_epochs 3",
        "sweeps/actions --offline -- --config action/finetune --data.init_args.root FOLDER",
        "sweeps/ksvqe --count 10",
    ),
    "new": ("method ScratchFinder", "data PartPhotos"),
    "compare": ("runs/face_benchmark/demo/version_0 runs/face_benchmark/demo/version_1",),
    "runs": ("", "runs/parts runs/parts_mentored --metric test/map_original --figure runs.png"),
    "list": ("", "methods", "configs"),
    "doctor": ("", "--config inspection/demo --report data.json"),
}


_ASKS = {
    "evaluate-faces": (
        "It asks whether each made face shows what was asked for; `measure-generated` asks of a whole set of made",
        "pictures whether it copies its training set, and whom it shows.",
    ),
    "measure-generated": (
        "It asks of a whole set of made pictures, of any model, whether it copies its training set, whom it shows and",
        "how real it looks; `evaluate-faces` asks whether each made face shows what was asked for.",
    ),
}


def command_help(command: str, summary: str) -> str:
    """Text of ``appraise COMMAND --help``, with its line in the table of commands.

    Example:
        >>> command_help("doctor", "check this machine").splitlines()[0]
        'usage: appraise doctor [--data CLASS --data.NAME VALUE ... | --config FILE] [--report FILE]'
    """
    usage = _USAGE.get(command, "[--config FILE] [--NAME VALUE ...]")
    lines = [f"usage: appraise {command} {usage}".rstrip(), "", f"{summary[0].upper()}{summary[1:]}.", ""]
    if command in _ASKS:
        lines[-1:] = [*_ASKS[command], ""]
    if command not in _USAGE or command in _OWN_OPTIONS:
        common = [*_MODEL_OPTIONS[:-2], *(_FIT_OPTIONS if command == "fit" else ()), *_MODEL_OPTIONS[-2:]]
        options = list(_OWN_OPTIONS.get(command, common))
        width = max(len(name) for name, _ in options) + 2
        lines += ["options:", *(f"  {name:<{width}}{line}" for name, line in options), ""]
    lines += ["commands that work:" if len(_EXAMPLES[command]) > 1 else "the command:"]
    lines += [f"  appraise {command} {example}".rstrip() for example in _EXAMPLES[command]]
    return "\n".join(lines) + "\n"
