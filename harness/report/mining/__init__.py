"""What was mined and what differs, as text, JSON, Markdown, SVG and OCEL."""
