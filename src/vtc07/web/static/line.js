// The last message is looked at first; from then on the page follows as long as one stays there.
const messages = document.querySelector("[data-stream=line]");
if (messages) messages.scrollTop = messages.scrollHeight;
