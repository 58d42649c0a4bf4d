import './styles/base.css';
import './styles/layout.css';
import './styles/ui.css';
import { render } from 'preact';
import { App } from './app.tsx';

const root = document.getElementById('app');
if (root !== null) render(<App />, root);
