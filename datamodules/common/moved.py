"""Old paths of modules: importing one works for one release, with a warning that names the new one."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
else:  # at each start, the real ones would import what reads resources
    Loader = MetaPathFinder = object

# old folder, new folder, names of modules: "old=new" where the name changed too
_MOVES = (
    (
        "callbacks",
        "callbacks.action",
        "annotation_summary=summary classification_report confusion_figure frame_states live_window overlay "
        "picture_annotator score_figure segment_evaluation segment_writer source_annotation",
    ),
    (
        "callbacks",
        "callbacks.face_attributes",
        "attribute_distribution=distribution attribute_figure=bars attribute_measures=measures "
        "attribute_report=report attribute_writer=label_writer face_writer=picture_writer feature_embedding "
        "group_errors layer_reconstructions model_card normality_figure=normality",
    ),
    ("callbacks", "callbacks.figures", "collect face_sheet=sheet fonts"),
    (
        "callbacks",
        "callbacks.inspection",
        "defect_features deployed_model false_detections false_positive_sheet feature_figure feedback_store_writer "
        "new_false_positives sheet_figure=crop_pairs",
    ),
    (
        "callbacks",
        "callbacks.training",
        "epoch_numbers feature_cache feature_shards parameter_ema plain_progress remote_monitor "
        "restore_best_weights run_comparison run_record terminal_progress training_curves=curves",
    ),
    (
        "callbacks",
        "callbacks.video_quality",
        "feature_baseline rank_pairs region_overlap region_overlay score_scatter score_writer",
    ),
    (
        "datamodules.action",
        "datamodules.action.demo",
        "demo=making demo_actions=actions demo_figure=figure demo_items=items demo_noise=noise demo_pen=pen "
        "demo_rooms=rooms demo_scenes=scenes demo_settings=settings demo_videos=videos",
    ),
    (
        "datamodules.action",
        "datamodules.action.frames",
        "augmentation balanced_sampler dataset frame_datamodule=training_half frame_loaders=training_half "
        "frame_rows=rows frame_sampling=sampling frame_store=store labelled_frames=labelled sparse_frames=chosen",
    ),
    ("datamodules.action.frames", "datamodules.action.frames", "loaders=training_half"),
    (
        "datamodules.action",
        "datamodules.action.lists",
        "class_folders public_lists=public records sources splits video_list=table",
    ),
    ("datamodules.action", "datamodules.video.streaming", "stream_chunks=chunks"),
    ("datamodules.action", "lightning_modules.commands", "extract_frames"),
    ("datamodules.common", "datamodules.tables", "csv_table=csv manifest=columns"),
    ("datamodules.face_attributes", "datamodules.common", "counted_draws=seeded_draws"),
    ("datamodules.face_attributes", "datamodules.faces", "contents dataset demo_faces=demo schema"),
    (
        "datamodules.face_attributes",
        "datamodules.faces.lists",
        "celeba_lists=celeba crops csv_list=table image_index=index label_values=values people pubfig_lists=pubfig "
        "records sources splits",
    ),
    (
        "datamodules.face_attributes",
        "datamodules.faces.renderer",
        "demo_settings=settings face_canvas=canvas face_colours=colours face_drawing=drawing "
        "face_features=features face_head=head face_labels=labels face_light=light face_parameters=parameters "
        "face_renderer=rendering face_surroundings=surroundings face_wear=wear",
    ),
    ("datamodules.face_attributes", "datamodules.images", "image_reading=upright"),
    ("datamodules.inspection", "datamodules", "page=feedback"),
    ("datamodules.inspection", "datamodules.images", "image_files=finding"),
    (
        "datamodules.inspection",
        "datamodules.inspection.batches",
        "augmentation crops dataset decoded domain_sampler warping",
    ),
    (
        "datamodules.inspection",
        "datamodules.inspection.demo",
        "demo=making demo_defects=defects demo_lookalikes=lookalikes demo_parts=parts demo_settings=settings "
        "demo_surface=surface",
    ),
    (
        "datamodules.inspection",
        "datamodules.inspection.labels",
        "checks coco deeppcb folder_masks image_lists=images_by_split label_masks=masks magnetic_tile "
        "manifest_list=manifest "
        "mentored polygons records sources splits yolo",
    ),
    (
        "datamodules.inspection",
        "datamodules.inspection.store",
        "agreement feedback_store=feedback queue_order=order store_columns=writer store_effective=answers_that_count "
        "store_file=file store_merge=merge store_reader=reader store_rows=rows store_schema=schema",
    ),
    ("datamodules.inspection.store", "datamodules.inspection.store", "columns=writer"),
    (
        "datamodules.inspection",
        "datamodules.inspection.store.exchange",
        "store_exchange=formats store_exchange_coco=coco store_exchange_csv=csv "
        "store_exchange_label_studio=label_studio store_exchange_parts=parts store_exchange_yolo=yolo",
    ),
    ("datamodules.inspection", "lightning_modules.commands.mentoring", "mentor_command=ask"),
    ("datamodules.inspection.page", "datamodules.feedback", "guard pace pictures"),
    ("datamodules.inspection.page", "datamodules.inspection", "messages server"),
    ("datamodules.video", "datamodules.video.reading", "decord_reader=decord pyav_reader=pyav reader survey"),
    (
        "datamodules.video",
        "datamodules.video.streaming",
        "live_reader=live stream_reader=reader stream_sources=sources",
    ),
    ("datamodules.video", "datamodules.video.writing", "annotated_writer=annotated audio_track encode picture_encoder"),
    ("datamodules.video", "datamodules.video", "pump=read_ahead"),
    ("datamodules.video_quality", "datamodules.video", "files=finding"),
    (
        "datamodules.video_quality",
        "datamodules.video_quality.demo",
        "demo=making demo_content=content demo_drawing=drawing demo_figures=figures demo_sources=sources "
        "demo_worker=worker",
    ),
    (
        "lightning_modules.action",
        "lightning_modules.action.segments",
        "flicker frame_files rolling_average segment_files=files segment_machine=machine segment_metrics=measures "
        "window_sums",
    ),
    (
        "lightning_modules.commands",
        "lightning_modules.commands.faces",
        "evaluate_faces=evaluate face_evaluation=evaluation face_independence=independence face_judges=judges "
        "face_making=making face_measures=measures face_networks=networks face_pages=pages "
        "face_settings=settings face_tables=tables generate",
    ),
    (
        "lightning_modules.commands",
        "lightning_modules.commands.front",
        "bare_options checkpoint config_files console diagnosis errors help_text lightning_cli links loggers parser "
        "report run_folder",
    ),
    (
        "lightning_modules.commands",
        "lightning_modules.commands.mentoring",
        "loop_figures=figures loop_settings=settings loop_table=table loop_tasks=tasks mentor_loop=loop",
    ),
    (
        "lightning_modules.face_attributes",
        "lightning_modules.face_attributes.classifier",
        "backbones freezing heads labelled=training_facts labelling=legacy_labels layers losses "
        "mean_image=training_facts metrics "
        "module network preprocess presets=settings training_facts transfer vgg vgg_weights",
    ),
    (
        "lightning_modules.face_attributes",
        "lightning_modules.face_attributes.generator",
        "generator=pipeline generator_facts=facts generator_module=module generator_presets=settings",
    ),
    (
        "lightning_modules.face_attributes",
        "lightning_modules.face_attributes.inversion",
        "batched_lbfgs class_visualisation folding inversion=search inversion_settings=settings parameterisation "
        "reconstruction regularisers robust_views",
    ),
    ("lightning_modules.face_attributes", "lightning_modules.face_attributes.judging", "agreement"),
    (
        "lightning_modules.face_attributes",
        "lightning_modules.face_attributes.statistics",
        "equal_sets=label_columns fingerprints=file kept_faces label_columns layer_sums normality "
        "statistics=collecting statistics_file=file",
    ),
    (
        "lightning_modules.face_attributes",
        "lightning_modules.face_attributes.targets",
        "completion linear_fits mixture_weights residual_noise targets=maker",
    ),
    ("lightning_modules.face_attributes", "lightning_modules.nn.realism", "realism=spread"),
    (
        "lightning_modules.inspection",
        "lightning_modules.inspection.detector",
        "anchors box_coding=anchors box_detections=detections detector_areas=areas detector_losses=losses "
        "detector_module=module detector_network=network suppression=detections",
    ),
    (
        "lightning_modules.inspection",
        "lightning_modules.inspection.measures",
        "box_metrics=boxes evaluation=stage image_metrics=images metrics=areas",
    ),
    ("lightning_modules.inspection", "lightning_modules.inspection.segmenter", "detections module network"),
    (
        "lightning_modules.face_attributes.classifier",
        "lightning_modules.face_attributes.classifier",
        "taught_attributes=training_facts",
    ),
    (
        "lightning_modules.face_attributes.generator",
        "lightning_modules.face_attributes.generator",
        "presets=settings",
    ),
    ("lightning_modules.face_attributes.judging", "lightning_modules.face_attributes.judging", "knowledge=agreement"),
    ("lightning_modules.action", "lightning_modules.action", "backbones=network presets=settings transfer=module"),
    (
        "lightning_modules.face_attributes.statistics",
        "lightning_modules.face_attributes.statistics",
        "equal_sets=label_columns fingerprints=file",
    ),
    (
        "lightning_modules.inspection.detector",
        "lightning_modules.inspection.detector",
        "box_coding=anchors suppression=detections",
    ),
    (
        "lightning_modules.inspection.segmenter",
        "lightning_modules.inspection.segmenter",
        "source_grid=detections",
    ),
    (
        "lightning_modules.video_quality.key_maps",
        "lightning_modules.video_quality.key_maps",
        "dover=swin fast_vqa=swin swin_k400=swin",
    ),
)

# where other names of an old module are now
_SPLIT = {
    "datamodules.face_attributes.image_reading": ("datamodules.images.size",),
    "datamodules.inspection.image_files": (
        "datamodules.images.upright",
        "datamodules.images.size",
        "datamodules.images.masks",
    ),
    "datamodules.inspection.page.messages": ("datamodules.feedback.messages",),
    "datamodules.inspection.page.server": ("datamodules.feedback.app",),
    "datamodules.inspection.store_schema": ("datamodules.common.errors",),
    "callbacks.attribute_report": ("callbacks.figures.pictures",),
    "callbacks.score_scatter": ("callbacks.figures.pictures",),
    "callbacks.score_writer": ("callbacks.figures.run_key",),
    "datamodules.inspection.augmentation": ("datamodules.inspection.settings",),
    "datamodules.common.manifest": (
        "datamodules.common.errors",
        "datamodules.tables.numbers",
        "datamodules.tables.rows",
        "datamodules.tables.text",
    ),
    "datamodules.video.reader": ("datamodules.video.reading.contract",),
    "lightning_modules.action.segment_files": ("lightning_modules.action.segments.frame_files",),
    "lightning_modules.action.segment_metrics": ("lightning_modules.action.segments.flicker",),
    "datamodules.action.demo": ("datamodules.action.demo.settings",),
    "datamodules.inspection.feedback_store": ("datamodules.inspection.store.rows",),
    "lightning_modules.commands.face_independence": ("lightning_modules.face_attributes.judging.common_origin",),
    "lightning_modules.face_attributes.agreement": ("lightning_modules.face_attributes.judging.short_requests",),
    "lightning_modules.face_attributes.realism": (
        "lightning_modules.nn.realism.distance",
        "lightning_modules.nn.realism.nearest",
        "lightning_modules.nn.realism.variation",
    ),
}


def _moved() -> dict[str, tuple[str, ...]]:
    places = {}
    for old_folder, new_folder, names in _MOVES:
        for name in names.split():
            old, _, new = name.partition("=")
            path = f"{old_folder}.{old}"
            places[path] = (f"{new_folder}.{new or old}", *_SPLIT.get(path, ()))
    return places


MOVED = _moved()  # old path -> new paths


class _OldModule(Loader):
    """A module under its old path: each name is looked up at the new ones."""

    def __init__(self, old: str) -> None:
        self.old = old

    def create_module(self, spec: ModuleSpec) -> None:
        warn(self.old)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__getattr__"] = self.find

    def find(self, name: str) -> object:
        """A name of the old module.

        Raises:
            AttributeError: If there is none.
        """
        for path in () if name.startswith("__") else MOVED[self.old]:
            found = import_module(path)
            if hasattr(found, name):
                value: object = getattr(found, name)
                return value
        raise AttributeError(f"module {self.old!r} has no attribute {name!r}")


class _Folder(_OldModule):
    """A folder that took the name of a module: names of the module are found all the same."""

    def __init__(self, spec: ModuleSpec) -> None:
        super().__init__(spec.name)
        assert spec.loader is not None  # a folder with an __init__ has one
        self.own = spec.loader

    def create_module(self, spec: ModuleSpec) -> None:
        """Nothing is said before an old name is asked for."""

    def exec_module(self, module: ModuleType) -> None:
        self.own.exec_module(module)
        super().exec_module(module)

    def find(self, name: str) -> object:
        if find_spec(f"{self.old}.{name}") is not None:  # a file of the folder, which Python imports itself
            raise AttributeError(name)
        asking = sys._getframe(1).f_code.co_name
        if asking == "get_import_path":  # jsonargparse looks for the shortest path of a class, which is no old one
            raise AttributeError(name)
        value = super().find(name)
        if asking == "_handle_fromlist":  # an import, not a search through loaded modules
            warn(self.old)
        return value


class OldPaths(MetaPathFinder):
    """Finds modules under the paths that they had before."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Spec of a moved module, or of a folder that took a module's name; None for all others."""
        if name not in MOVED:
            return None
        if not MOVED[name][0].startswith(f"{name}."):
            return ModuleSpec(name, _OldModule(name), is_package=True)  # one old folder holds others
        spec = PathFinder.find_spec(name, path)
        if spec is not None:
            spec.loader = _Folder(spec)
        return spec


def warn(old: str) -> None:
    """Say where a module is now."""
    warnings.warn(
        f"{old} has moved: import {' or '.join(MOVED[old])} instead; the old path goes with the next release",
        FutureWarning,
        stacklevel=3,
    )


def keep_old_paths() -> None:
    """Let old paths be imported; called by the package itself, any number of times."""
    if not any(isinstance(finder, OldPaths) for finder in sys.meta_path):
        sys.meta_path.insert(0, OldPaths())
