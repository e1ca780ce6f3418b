"""Python packages as an installer leaves them: a module and what its metadata say, in a folder on the path."""

CLIMB = '''
from dataclasses import dataclass
from suggestion_services import Algorithm, Bounds, Proposal, setting

@dataclass(frozen=True)
class Climb(Algorithm):
    """Steps around the best point so far."""

    width: float = setting(0.1, "how far a step goes", Bounds(above=0))
    silent: bool = False
    title: str = ""

    def suggest(self, request):
        trials = request.trials.where(2)
        centre = request.space.to_unit(trials.points)[trials.losses.argmin()] if len(trials.losses) else 0.5
        draws = [request.generator(request.asked + n) for n in range(request.count)]
        units = [(centre + self.width * draw.standard_normal((1, len(request.space.dimensions)))) for draw in draws]
        return [Proposal(request.space.texts(request.space.from_unit(unit.clip(0, 1))[0])) for unit in units]
'''


def install(folder, package, source="", version="1.0", **points):
    """A package with one module of its own name, and entry points of the group of algorithms."""
    (folder / f"{package}.py").write_text(source)
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    lines = [f"{name.replace('_', '-')} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[katib_py.algorithms]", *lines]) + "\n")
