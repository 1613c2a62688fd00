"""Directive for error messages of the library, with their explanation."""

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Message(SphinxDirective):
    """``.. message:: TEXT``: an error, as it is printed; the content is its cure."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self):
        text = " ".join(self.arguments[0].split())
        quoted = nodes.literal_block(text, text, language="none")
        return [nodes.container("", quoted, *self.parse_content_to_nodes())]


def setup(app):
    app.add_directive("message", Message)
    return {"parallel_read_safe": True}
