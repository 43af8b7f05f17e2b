"""The parts of a Markdown file that benchmarks write: what stands between `<!-- NAME -->` and `<!-- /NAME -->`."""
import pathlib
import platform


def write_section(path: pathlib.Path, name: str, text: str) -> None:
    """Replaces what stands between the markers."""
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, found, rest = path.read_text().partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{path} has no lines {start.strip()} and {end.strip()}")
    path.write_text(before + start + text + end + after)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *rows])


def processor() -> str:
    """The name of the machine's CPU."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
