"""Plan and apply, on one host or many."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import roles
from provision import images
from provision.agent.events import End, Error, Event, Hello, Mode, Result
from provision.agent.resources import Resource
from provision.deploy import commands, outside, timings
from provision.deploy.bundle import PlacedFile, RoleSteps, manifest, pack
from provision.deploy.parallel import fault, for_each_host
from provision.errors import Exit, HubwrightError, SettingsError
from provision.report.outcomes import Outcome
from provision.report.reporter import Reporter
from provision.settings import Settings
from provision.settings.image_names import GRAPHITE, NOTEBOOK
from provision.ssh import Access, Blob, Target
from provision.ssh import run as run_on_host
from provision.tools.digests import file_digest
from provision.tools.process import HERE
from roles.shared.inputs import ImageSource, Inputs

Handler = Callable[[str, Event], None]
Source = tuple[ImageSource, dict[str, Blob]]
"""The place that hosts take an image from, and the large inputs that it may need."""

NOT_BUILT = {name: ImageSource("0" * 64, reference="not/built") for name in (NOTEBOOK, GRAPHITE)}
"""Sources in place of those that are known only when images are built."""


def exit_code(outcomes: Iterable[Outcome], mode: Mode) -> Exit:
    outcomes = list(outcomes)
    if any(outcome.failed for outcome in outcomes):
        codes = {outcome.error.code for outcome in outcomes if outcome.error}
        return Exit.USAGE if codes == {Exit.USAGE} else Exit.FAILED
    if mode == "plan" and any(outcome.changes for outcome in outcomes):
        return Exit.CHANGES
    return Exit.DONE


def steps(
    settings: Settings, sources: Mapping[str, ImageSource], only: Iterable[str] = ()
) -> list[RoleSteps]:
    """The roles' resources; of `only` these roles and what they need, if any are named."""
    inputs = _inputs(settings, sources, only)
    known = roles.table(settings)
    chosen = known.with_needs(only) if only else known
    found = [RoleSteps(role.name, role.needs, role.resources(inputs)) for role in chosen]
    _refuse_conflicts(found)
    return found


def _refuse_conflicts(found: Iterable[RoleSteps]) -> None:
    """Refuse (SettingsError) resources that no run could ever make true."""
    first: dict[str, tuple[str, Resource]] = {}
    for role in found:
        for resource in role.resources:
            path = getattr(resource, "path", None)
            if isinstance(path, str) and not path.startswith("/"):
                raise SettingsError(
                    f"{resource.id} has a relative path",
                    where=f"role {role.name}",
                    hint="paths on a host begin with /",
                )
            other, same = first.setdefault(resource.id, (role.name, resource))
            if same != resource:
                both = f"role {role.name}" if other == role.name else f"roles {other} and {role.name}"
                raise SettingsError(
                    f"there are two of {resource.id}, with different contents",
                    where=both,
                    hint="each would undo the other: leave one out, or give it another name",
                )


def check(settings: Settings, only: Iterable[str] = ()) -> None:
    """Refuse (SettingsError) what `steps` would refuse, before images are built, which takes minutes."""
    steps(settings, NOT_BUILT, only)
    image = settings.image
    if image.build is not None:
        images.recipe_context(settings, images.notebook(settings))
    if image.archive is not None and not settings.path(image.archive).is_file():
        raise SettingsError(
            "there is no such file",
            where=f"image.archive: {settings.path(image.archive)}",
            hint="write it with `docker save`; a relative path starts at hub.toml's folder",
        )


def _inputs(settings: Settings, sources: Mapping[str, ImageSource], only: Iterable[str]) -> Inputs:
    known = roles.table(settings).names
    unknown = sorted(set(only) - set(known))
    if unknown:
        raise SettingsError(f"no such role: {', '.join(unknown)}", hint=f"the roles are {', '.join(known)}")
    return roles.read_inputs(settings, sources)


def image_sources(settings: Settings, reporter: Reporter) -> tuple[dict[str, ImageSource], dict[str, Blob]]:
    """The source of each image by its name, and the large inputs for hosts that lack one.

    Images that the settings build on this computer are built first, if they are not there yet.
    """
    image, monitoring = settings.image, settings.monitoring
    found: dict[str, Source] = {}
    if image.reference is not None:
        found[NOTEBOOK] = _referenced(image.reference)
    elif image.archive is not None:
        path = settings.path(image.archive)
        digest = file_digest(path, images.cache_folder())
        found[NOTEBOOK] = ImageSource(digest, archive=digest), {digest: path}
    else:
        found[NOTEBOOK] = _built(settings, images.notebook(settings), reporter)
    if monitoring.graphite and monitoring.image is not None:
        found[GRAPHITE] = _referenced(monitoring.image)
    elif monitoring.graphite:
        found[GRAPHITE] = _built(settings, images.graphite(settings), reporter)
    blobs = {digest: blob for _, needed in found.values() for digest, blob in needed.items()}
    return {name: source for name, (source, _) in found.items()}, blobs


def _referenced(reference: str) -> Source:
    return ImageSource(reference.rpartition(":")[2], reference=reference), {}


def _built(settings: Settings, recipe: images.Recipe, reporter: Reporter) -> Source:
    """The source of an image that is built: on this computer and sent, or on each host from its folder."""
    name = images.recipe_tag(settings, recipe).rpartition(":")[2]
    if settings.image.build_on == "builder":
        path = images.ensure_archive(settings, recipe, reporter)
        digest = file_digest(path, images.cache_folder())
        return ImageSource(name, archive=digest), {digest: path}
    context = images.recipe_context(settings, recipe).packed(recipe.name, reporter)
    if isinstance(context, bytes):
        digest = hashlib.sha256(context).hexdigest()
    else:
        digest = file_digest(context, images.cache_folder())
    arguments = {"BASE": settings.builder.image, **recipe.arguments}
    return ImageSource(name, context=digest, arguments=tuple(arguments.items())), {digest: context}


def plan_or_apply(
    settings: Settings,
    targets: Sequence[Target],
    mode: Mode,
    *,
    reporter: Reporter,
    access: Access,
    handle: Handler,
    only: Iterable[str] = (),
    remove: bool = False,
    watcher: Target | None = None,
) -> list[Outcome]:
    """Plan or apply on every target at once; one outcome a target, in their order.

    `only`: these roles and what they need. `remove`: remove all that was applied.
    After an apply of all roles the hub's URL is asked from this computer, or from the host `watcher`.
    The operator's own commands run before and after an apply; one that fails after it is one more outcome.
    `handle` gets the name of the host and every event at once, from several threads.
    """
    only = tuple(only)
    if remove:
        wanted: list[RoleSteps] = []
        blobs: dict[str, Blob] = {}
    else:
        check(settings, only)
        sources, blobs = image_sources(settings, reporter)
        wanted = steps(settings, sources, only)
    names = [target.name for target in targets]
    extend = settings.extend
    if mode == "apply" and not remove:
        commands.run_all(settings, "before_apply", extend.before_apply, names, reporter)
    bundle = pack(manifest(settings, wanted, mode=mode, complete=not only))

    def one(target: Target) -> Outcome:
        return _run(target, bundle, blobs, access, handle)

    outcomes = for_each_host(targets, access, one)
    timings.send(settings, mode, [(outcome.seconds, outcome.failed, outcome.changes) for outcome in outcomes])
    if mode == "apply" and not remove and not only:
        outside.look(settings, targets, outcomes, access, reporter, watcher)
    if mode == "apply" and not remove and not any(outcome.failed for outcome in outcomes):
        try:
            commands.run_all(settings, "after_apply", extend.after_apply, names, reporter)
        except HubwrightError as error:
            outcomes.append(Outcome(HERE, error=error))
    return outcomes


def generalize(
    settings: Settings, target: Target, files: Iterable[PlacedFile], *, access: Access, handle: Handler
) -> Outcome:
    """Remove all that belongs to this one machine, and leave `files` for the first boot of its copies."""
    placed = [
        {"path": file.path, "mode": file.mode, "content": base64.b64encode(file.content).decode()}
        for file in files
    ]
    return _run(target, pack(manifest(settings, [], mode="generalize", files=placed)), {}, access, handle)


def _run(target: Target, bundle: bytes, blobs: dict[str, Blob], access: Access, handle: Handler) -> Outcome:
    outcome = Outcome(target.name)
    began = time.monotonic()

    def take(event: Event) -> None:
        if isinstance(event, Result):
            outcome.results.append(event)
        elif isinstance(event, Hello):
            outcome.facts = event
        elif isinstance(event, Error):
            outcome.error = HubwrightError(event.what, where=target.name, hint=event.hint)
        elif isinstance(event, End):
            outcome.count = event.count
        handle(target.name, event)

    try:
        run_on_host(target, bundle, blobs, access, take)
    except HubwrightError as error:
        outcome.error = error
    except Exception as error:
        outcome.error = fault(target, error)
    outcome.seconds = time.monotonic() - began
    return outcome
