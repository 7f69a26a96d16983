"""Every way of doing the same work, measured in the same run: ratios, never promises. See docs/performance.md."""
